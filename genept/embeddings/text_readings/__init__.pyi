"""What is meant to be used from outside this package."""

from .group_description import GroupDescription as GroupDescription
from .group_description import Statement as Statement
from .group_effects import GroupEffects as GroupEffects
from .group_effects import group_effects as group_effects
from .group_effects import observation_effects as observation_effects
from .group_statements import Vocabulary as Vocabulary
from .group_statements import describe_groups as describe_groups
from .group_terms import GeneSets as GeneSets
from .group_terms import SetScores as SetScores
from .group_terms import score_sets as score_sets
from .label_meanings import LabelQuery as LabelQuery
from .label_meanings import Ontology as Ontology
from .label_meanings import label_queries as label_queries
from .label_meanings import similarity_matrix as similarity_matrix
from .label_meanings import words_of as words_of
from .lineages import LineageBar as LineageBar
from .lineages import Lineages as Lineages
from .lineages import lineage_bar as lineage_bar
from .readings import Reading as Reading
from .readings import Structure as Structure
from .readings import gene_weights as gene_weights
from .readings import neighbours_of as neighbours_of
from .readings import read_observations as read_observations
from .readings import structure_of as structure_of
from .readings import text_similarity as text_similarity
