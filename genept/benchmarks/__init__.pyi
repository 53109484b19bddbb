"""What is meant to be used from outside this package."""

from .label_tables import build_labels as build_labels
from .label_tables import fates as fates
from .leaderboard import run_tasks as run_tasks
from .leaderboard_figures import cells_in_words as cells_in_words
from .leaderboard_figures import in_words as in_words
from .leaderboard_figures import report_figures as report_figures
from .resampling import resampled_labels as resampled_labels
from .scores import Floats as Floats
from .scores import Indices as Indices
from .scores import Score as Score
from .scores import bootstrap_totals as bootstrap_totals
from .scores import group_codes as group_codes
from .scores import group_draws as group_draws
from .scores import mean_score as mean_score
from .scores import pearson_score as pearson_score
from .scores import percentiles as percentiles
from .task_scores import OF_SCORE as OF_SCORE
from .task_scores import annotated_cells as annotated_cells
from .task_scores import beside_controls as beside_controls
from .task_scores import sample_tasks as sample_tasks
from .vector_costs import space_costs as space_costs
