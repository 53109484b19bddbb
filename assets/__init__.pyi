"""What is meant to be used from outside this package."""

from .benchmarks import collection_scores as collection_scores
from .collections import ingested_collection as ingested_collection
from .embeddings import embedding_tables as embedding_tables
from .embeddings import further_embeddings as further_embeddings
from .embeddings import observation_vectors as observation_vectors
from .games import donor_games as donor_games
from .inbox_files import DROP as DROP
from .inbox_files import inbox_collection as inbox_collection
from .lanes import embedding_lanes as embedding_lanes
from .models import trained_model as trained_model
from .models import trained_models as trained_models
from .news import NEWS as NEWS
from .news import RELEASE as RELEASE
from .operations import METRICS as METRICS
from .partitions import COLLECTIONS as COLLECTIONS
from .partitions import MODELS as MODELS
from .partitions import SPACES as SPACES
from .partitions import is_readable as is_readable
from .partitions import read_partition as read_partition
from .pending import PENDING as PENDING
from .release import HELD as HELD
from .release import PAGES as PAGES
from .release import claim_for as claim_for
from .results import DATA_VERSION as DATA_VERSION
from .results import PartitionTables as PartitionTables
from .text_spaces import space_vectors as space_vectors
