"""How it runs: definitions, IO manager, checks, jobs, and the one Prefect flow.

The only floor that knows an orchestrator's machinery; what is computed lives below.
"""

from orchestration.definitions import defs

__all__ = ["defs"]
