"""What is meant to be used from outside this package."""

from .intervals import Floats as Floats
from .intervals import bootstrap_interval as bootstrap_interval
from .intervals import bootstrap_totals as bootstrap_totals
from .intervals import group_codes as group_codes
from .intervals import group_draws as group_draws
from .intervals import percentiles as percentiles
from .resampling import METRICS as METRICS
from .resampling import Resampled as Resampled
from .resampling import confusions as confusions
from .resampling import folded_auroc as folded_auroc
from .resampling import is_own_control as is_own_control
from .resampling import paired_differences as paired_differences
from .resampling import resampled as resampled
from .resampling import resampled_labels as resampled_labels
from .resampling import rivals as rivals
from .scores import CLASSIFICATION_METRICS as CLASSIFICATION_METRICS
from .scores import Indices as Indices
from .scores import Score as Score
from .scores import StratifiedSpearman as StratifiedSpearman
from .scores import classification_scores as classification_scores
from .scores import median_spearman_score as median_spearman_score
from .scores import pearson_score as pearson_score
