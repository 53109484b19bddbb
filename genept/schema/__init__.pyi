"""What is meant to be used from outside this package."""

from .columns import Column as Column
from .columns import Table as Table
from .tables.allowed_values import LINEAR as LINEAR
from .tables.allowed_values import MEANINGS as MEANINGS
from .tables.allowed_values import NEVER_NEGATIVE as NEVER_NEGATIVE
from .tables.allowed_values import UNITS as UNITS
from .tables.allowed_values import Unit as Unit
from .tables.allowed_values import merge_policy as merge_policy
