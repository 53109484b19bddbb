"""What is meant to be used from outside this package."""

from .label_mapping import FIELDS as FIELDS
from .label_mapping import LabelMapper as LabelMapper
from .label_mapping import MappedLabel as MappedLabel
from .label_mapping import prefix_of as prefix_of
from .label_terms import DeclaredLabel as DeclaredLabel
from .label_terms import declared_labels as declared_labels
from .labelled_observations import METADATA as METADATA
from .labelled_observations import READ as READ
from .labelled_observations import Ontologies as Ontologies
from .labelled_observations import label_observations as label_observations
from .ontology_table import build_ontology_terms as build_ontology_terms
