"""Processes and machines are distinguished without a wall clock."""

from __future__ import annotations

import os
import subprocess
import sys

from genept.common.operating_system import is_running, machine, started


def test_a_process_is_known_by_when_it_started() -> None:
    sleeping = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    child = subprocess.Popen(sleeping, stdin=subprocess.PIPE)
    since = started(child.pid)
    own = started(os.getpid())
    assert since is not None
    assert own is not None
    assert since >= own
    assert is_running(child.pid, since)
    assert not is_running(child.pid, since + 1)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(child.pid, since), "it has ended, although nobody has asked how"
    child.communicate()
    assert not is_running(child.pid, since)
    assert started(child.pid) is None


def test_a_machine_has_one_name_while_it_runs() -> None:
    code = "from genept.common.operating_system import machine; print(machine())"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == machine()
