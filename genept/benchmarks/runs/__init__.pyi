"""What is meant to be used from outside this package."""

from .leaderboard import run_tasks as run_tasks
