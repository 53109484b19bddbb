"""What is meant to be used from outside this package."""
from .label_queries import LabelQuery as LabelQuery
from .label_queries import Ontology as Ontology
from .label_queries import label_queries as label_queries
from .label_queries import similarity_matrix as similarity_matrix
from .readings import Reading as Reading
from .readings import Structure as Structure
from .readings import gene_weights as gene_weights
from .readings import read_observations as read_observations
from .readings import structure_of as structure_of
from .readings import text_similarity as text_similarity
