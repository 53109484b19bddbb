"""What is meant to be used from outside this package."""

from .leaderboard_figures import ablation_figure as ablation_figure
from .leaderboard_figures import cells_in_words as cells_in_words
from .leaderboard_figures import deciding_scores as deciding_scores
from .leaderboard_figures import in_words as in_words
from .leaderboard_figures import ranks_figure as ranks_figure
from .leaderboard_figures import report_figures as report_figures
from .model_comparison import NAME_ALONE as NAME_ALONE
from .model_comparison import MeanDifference as MeanDifference
from .model_comparison import compared_spaces as compared_spaces
from .model_comparison import is_larger_worth_it as is_larger_worth_it
from .model_comparison import publishers_tests as publishers_tests
from .model_comparison import text_gains as text_gains
from .model_comparison import unavailable_in_words as unavailable_in_words
from .plots import frontier as frontier
