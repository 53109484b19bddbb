"""What is meant to be used from outside this package."""

from .pair_inputs import SUM as SUM
from .pair_inputs import pair_features as pair_features
from .pair_labels import DIRECTION as DIRECTION
from .pair_labels import direction_pairs as direction_pairs
from .pair_labels import fate_of as fate_of
from .pair_labels import gene_pairs as gene_pairs
from .pair_splits import Halves as Halves
from .pair_splits import drawn_pairs as drawn_pairs
from .pair_splits import gene_disjoint as gene_disjoint
from .pair_sums import PairSums as PairSums
from .pair_tasks import DISJOINT as DISJOINT
from .pair_tasks import FEWEST as FEWEST
from .pair_tasks import FIXED as FIXED
from .pair_tasks import InteractionTask as InteractionTask
from .pair_tasks import PairTask as PairTask
from .pair_tasks import scored_pairs as scored_pairs
