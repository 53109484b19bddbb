"""What is meant to be used from outside this package."""

from .program_task import activity_of_programs as activity_of_programs
from .program_task import programs_of_spaces as programs_of_spaces
