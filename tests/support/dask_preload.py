"""What the scheduler and the workers of a test's cluster import before they take tasks.

Tasks are unpickled in a thread. Dagster is imported before, in the main thread, as docs/scale.md
asks; and SIGUSR1 makes a process that does not answer write down where its threads are.
"""

import faulthandler
import signal

import dagster_dask  # noqa: F401

faulthandler.register(signal.SIGUSR1)
