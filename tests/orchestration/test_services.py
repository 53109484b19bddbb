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
STARTS_A_SERVICE = f"""
import sys, time
from orchestration.services import Service
service = Service("sleeper", {SLEEPS!r})
print(service._process.pid, flush=True)
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("the condition did not become true")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties processes on Linux only")
def test_a_service_ends_with_the_process_that_started_it_even_if_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_A_SERVICE], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout as lines:
        try:
            service = psutil.Process(int(lines.readline()))
            # Between fork and exec a process has no arguments.
            wait_until(lambda: "sleep(600)" in " ".join(service.cmdline()))
        finally:
            parent.kill()
    assert psutil.wait_procs([service], timeout=60)[1] == []


def test_a_service_that_ends_is_restarted_or_ends_the_ui_if_it_is_needed() -> None:
    restarted, needed = Service("code server", SLEEPS), Service("daemon", SLEEPS)
    first = restarted._process.pid

    def kill_in_turn() -> None:
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: restarted._process.pid != first and not restarted.has_ended)
        os.kill(needed._process.pid, signal.SIGKILL)
        time.sleep(60)

    try:
        with pytest.raises(KeyboardInterrupt), watched([restarted], [needed]):
            kill_in_turn()
    finally:
        restarted.end()
        needed.end()
    assert restarted.has_ended
