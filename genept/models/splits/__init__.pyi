"""What is meant to be used from outside this package."""

from .folds import ANY as ANY
from .folds import Folds as Folds
from .folds import FrozenFolds as FrozenFolds
from .folds import Regime as Regime
from .folds import drug_folds as drug_folds
from .folds import frozen_from_table as frozen_from_table
from .folds import grouped_folds as grouped_folds
from .folds import observation_folds as observation_folds
from .folds import pair_folds as pair_folds
from .groups import connected_groups as connected_groups
from .groups import cut_duplicates as cut_duplicates
from .groups import label_like_features as label_like_features
from .groups import near_duplicates as near_duplicates
from .groups import response_like_features as response_like_features
from .holdout import Holdout as Holdout
from .holdout import HoldoutReadError as HoldoutReadError
from .holdout import Rows as Rows
from .holdout import TrainingView as TrainingView
from .holdout import held_apart as held_apart
from .holdout import hold_out as hold_out
from .holdout import planted_labels as planted_labels
