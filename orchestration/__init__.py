"""How it runs: definitions, IO manager, checks, jobs, and Prefect's flows.

The only layer that knows an orchestrator's machinery; what is computed lives below.
Dagster loads `orchestration.definitions`.
"""
