"""What is meant to be used from outside this package."""

from .benchmarks import collection_scores as collection_scores
from .collections import DROP as DROP
from .collections import inbox_collection as inbox_collection
from .collections import ingested_collection as ingested_collection
from .embeddings import embedding_lanes as embedding_lanes
from .embeddings import embedding_tables as embedding_tables
from .embeddings import further_embeddings as further_embeddings
from .embeddings import observation_vectors as observation_vectors
from .models import trained_model as trained_model
from .models import trained_models as trained_models
from .operations import METRICS as METRICS
from .operations import NEWS as NEWS
from .operations import RELEASE as RELEASE
from .operations import claim_for as claim_for
from .partitions import COLLECTIONS as COLLECTIONS
from .partitions import MODELS as MODELS
from .partitions import SPACES as SPACES
from .partitions import PartitionTables as PartitionTables
from .partitions import is_readable as is_readable
from .partitions import read_partition as read_partition
from .release import HELD as HELD
from .release import PAGES as PAGES
from .results import DATA_VERSION as DATA_VERSION
from .text import PENDING as PENDING
from .text import space_vectors as space_vectors
