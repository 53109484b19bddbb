"""What is meant to be used from outside this package."""

from .sandbox_child import Parent as Parent
from .sandbox_parent import ChildResult as ChildResult
from .sandbox_parent import limited as limited
from .sandbox_watch import USUAL as USUAL
from .sandbox_watch import Allowance as Allowance
from .sandbox_watch import Limits as Limits
