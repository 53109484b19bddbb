"""What is meant to be used from outside this package."""

from .canary import CANARY as CANARY
from .canary import has_canary as has_canary
from .columns import Column as Column
from .columns import Table as Table
from .references import ForeignKey as ForeignKey
from .references import foreign_keys as foreign_keys
from .tables import LINEAR as LINEAR
from .tables import MEANINGS as MEANINGS
from .tables import NEVER_NEGATIVE as NEVER_NEGATIVE
from .tables import UNITS as UNITS
from .tables import Unit as Unit
from .tables import column_origins as column_origins
from .tables import merge_policy as merge_policy
