"""What is meant to be used from outside this package."""

from .term_tasks import FoldsTask as FoldsTask
from .term_tasks import MembershipTask as MembershipTask
