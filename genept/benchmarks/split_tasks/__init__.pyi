"""What is meant to be used from outside this package."""

from .dated_terms import SINCE as SINCE
from .dated_terms import DatedTermsTask as DatedTermsTask
from .nested_pairs import NESTED as NESTED
from .nested_pairs import NestedPairTask as NestedPairTask
from .perturbation_direction import EffectDirectionTask as EffectDirectionTask
