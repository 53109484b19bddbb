"""What is meant to be used from outside this package."""

from .pair_inputs import SUM as SUM
from .pair_inputs import pair_features as pair_features
from .pair_splits import drawn_pairs as drawn_pairs
from .pair_sums import PairSums as PairSums
from .pair_tasks import DISJOINT as DISJOINT
from .pair_tasks import FEWEST as FEWEST
from .pair_tasks import FIXED as FIXED
from .pair_tasks import InteractionTask as InteractionTask
from .pair_tasks import PairTask as PairTask
from .pair_tasks import scored_pairs as scored_pairs
