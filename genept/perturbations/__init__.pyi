"""What is meant to be used from outside this package."""

from .arena import NAME as NAME
from .arena import SPACES as SPACES
from .arena import TEXT as TEXT
from .arena import VARIANTS as VARIANTS
from .effects import Effects as Effects
from .measured_screens import MeasuredScreen as MeasuredScreen
from .measured_screens import ScreenFile as ScreenFile
from .measured_screens import measure_screen as measure_screen
from .measured_tables import build_measured as build_measured
from .measured_tables import screen_inputs as screen_inputs
from .paired_aucs import ClassPairs as ClassPairs
from .paired_aucs import auc_draws as auc_draws
from .paired_aucs import comparable as comparable
from .score_tables import build_predictions as build_predictions
from .score_tables import build_scores as build_scores
from .score_tables import read_models as read_models
from .screen_tables import build_screens as build_screens
from .screen_tables import how_to_get as how_to_get
from .unseen import LEAST_PERTURBATIONS as LEAST_PERTURBATIONS
from .unseen import Model as Model
from .user_screens import UserScreen as UserScreen
from .user_screens import added_screens as added_screens
from .votes import Variant as Variant
from .votes import Vote as Vote
