"""What is meant to be used from outside this package."""

from .cell_task import CENTRED as CENTRED
from .cell_task import CLUSTERS as CLUSTERS
from .cell_task import DECIDING as DECIDING
from .cell_task import MIXING as MIXING
from .cell_task import NEIGHBOURS as NEIGHBOURS
from .cell_task import WHOLE as WHOLE
from .cell_types import TASK as TASK
from .collection_scores import score_collection as score_collection
from .collection_scores import score_collections as score_collections
from .description_lineages import LINEAGE_TASK as LINEAGE_TASK
from .description_lineages import lineage_parts as lineage_parts
from .zero_shot import NEAREST_NAME as NEAREST_NAME
from .zero_shot import ZERO_SHOT as ZERO_SHOT
