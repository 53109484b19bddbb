"""What is meant to be used from outside this package."""

from .label_meanings import LabelQuery as LabelQuery
from .label_meanings import Ontology as Ontology
from .label_meanings import label_queries as label_queries
from .label_meanings import similarity_matrix as similarity_matrix
from .label_meanings import words_of as words_of
from .readings import Reading as Reading
from .readings import Structure as Structure
from .readings import gene_weights as gene_weights
from .readings import read_observations as read_observations
from .readings import structure_of as structure_of
from .readings import text_similarity as text_similarity
