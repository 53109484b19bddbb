"""What is meant to be used from outside this package."""

from .collections import COLLECTIONS as COLLECTIONS
from .collections import DROP as DROP
from .collections import inbox_collection as inbox_collection
from .embeddings import embedding_lanes as embedding_lanes
from .embeddings import embedding_tables as embedding_tables
from .embeddings import further_embeddings as further_embeddings
from .models import trained_models as trained_models
from .operations import METRICS as METRICS
from .operations import NEWS as NEWS
from .operations import RELEASE as RELEASE
from .operations import claim_for as claim_for
from .release import HELD as HELD
from .text import SPACE_VECTORS as SPACE_VECTORS
from .text import SPACES as SPACES
