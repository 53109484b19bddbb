"""The processes beside the webserver: they end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
from installations import PROJECT

from orchestration.services import Service, watched

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
STARTS_ONE = f"""
import sys, time
from orchestration.services import Service
service = Service("sleeper", {SLEEPS!r})
print(service._process.pid, flush=True)
time.sleep(600)
"""


def until(happened: Callable[[], bool]) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties processes on Linux only")
def test_a_service_ends_with_the_process_that_started_it_even_if_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout as lines:
        service = psutil.Process(int(lines.readline()))
        until(lambda: "sleep(600)" in service.cmdline()[-1])
        parent.kill()
    assert psutil.wait_procs([service], timeout=60)[1] == []


def test_a_service_is_restarted_and_one_that_is_needed_ends_the_ui() -> None:
    again, needed = Service("code server", SLEEPS), Service("daemon", SLEEPS)
    first = again._process.pid

    def one_after_the_other() -> None:
        os.kill(first, signal.SIGKILL)
        until(lambda: again._process.pid != first and not again.has_ended)
        os.kill(needed._process.pid, signal.SIGKILL)
        time.sleep(60)

    try:
        with pytest.raises(KeyboardInterrupt), watched([again], [needed]):
            one_after_the_other()
    finally:
        again.end()
        needed.end()
    assert again.has_ended
