"""What is meant to be used from outside this package."""

from .columns import Column as Column
from .columns import Table as Table
from .tables.fields import LINEAR as LINEAR
from .tables.fields import MEANINGS as MEANINGS
from .tables.fields import NEVER_NEGATIVE as NEVER_NEGATIVE
from .tables.fields import UNITS as UNITS
from .tables.fields import Unit as Unit
from .tables.fields import merge_policy as merge_policy
