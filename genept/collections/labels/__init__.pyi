"""What is meant to be used from outside this package."""

from .label_mapping import FIELDS as FIELDS
from .label_mapping import OUTCOMES as OUTCOMES
from .label_mapping import LabelMapper as LabelMapper
from .label_mapping import MappedLabel as MappedLabel
from .label_mapping import prefix_of as prefix_of
from .label_terms import DeclaredLabel as DeclaredLabel
from .label_terms import declared_labels as declared_labels
