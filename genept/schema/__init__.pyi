"""What is meant to be used from outside this package."""

from .columns import Column as Column
from .columns import Table as Table
from .units import LINEAR as LINEAR
from .units import MEANINGS as MEANINGS
from .units import NEVER_NEGATIVE as NEVER_NEGATIVE
from .units import UNITS as UNITS
from .units import Unit as Unit
from .units import merge_policy as merge_policy
