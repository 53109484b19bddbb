"""What is meant to be used from outside this package."""

from .drug_kernels import REPORTED as REPORTED
from .drug_kernels import SPACES as SPACES
from .drug_kernels import is_structure as is_structure
from .known_drugs import Drugs as Drugs
from .left_out import MEAN_PROFILE as MEAN_PROFILE
from .profile_ridge import carried_over as carried_over
from .unscreened_profiles import UnscreenedModel as UnscreenedModel
from .unscreened_scores import NO_CONTROL as NO_CONTROL
from .unscreened_tables import UNSCREENED as UNSCREENED
from .unscreened_tables import build_unscreened as build_unscreened
from .unscreened_tables import expression_screen as expression_screen
