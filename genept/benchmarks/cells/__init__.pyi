"""What is meant to be used from outside this package."""

from .cell_task import CENTRED as CENTRED
from .cell_task import CLUSTERS as CLUSTERS
from .cell_task import DECIDING as DECIDING
from .cell_task import MIXING as MIXING
from .cell_task import NEIGHBOURS as NEIGHBOURS
from .cell_task import WHOLE as WHOLE
from .cell_task import score_cells as score_cells
from .cell_task import too_few_cells as too_few_cells
from .cell_types import TASK as TASK
