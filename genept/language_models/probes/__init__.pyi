"""What is meant to be used from outside this package."""

from .probe_tables import ProbeTables as ProbeTables
from .probing import probe as probe
from .probing import probe_prompts as probe_prompts
