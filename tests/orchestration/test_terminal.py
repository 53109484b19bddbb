"""What a run shows on a terminal while Dagster holds the standard error of its steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from installations import PROJECT

RUN = """
import sys

import dagster as dg

import orchestration.commands
import orchestration.definitions
from genept.common import console, progress_bar
from orchestration.failures import run_lines


@dg.op(out=dg.Out(dg.Nothing))
def step(context):
    with progress_bar("texts embedded", 2) as advance:
        advance(1)
        context.log_event(dg.AssetMaterialization("step"))
        console.print("a message of the step")
        advance(1)


@dg.job(logger_defs={"lines": run_lines}, config={"loggers": {"lines": {}}})
def job():
    step()


orchestration.definitions.release_job = lambda: job
with dg.instance_for_test() as instance:
    orchestration.commands._materialise(instance)
assert console.file is sys.stderr
console.print("the report")
"""


def run_on_terminal(state: Path) -> str:
    """What a pseudo-terminal gets as standard error of a process that runs a job."""
    terminal, stderr = os.openpty()
    environment = os.environ | {"GENEPT_STATE_DIR": str(state), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    os.close(stderr)
    shown = bytearray()
    try:
        while block := os.read(terminal, 65536):
            shown += block
    except OSError:  # how Linux says that no process has the terminal open any more
        pass
    finally:
        os.close(terminal)
    assert process.wait() == 0, shown.decode()
    return shown.decode()


def test_bars_lines_and_messages_of_a_step_reach_the_terminal_whole(tmp_path: Path) -> None:
    """Bars are not shown unless the console is a terminal; a line never ends up in a bar."""
    shown = run_on_terminal(tmp_path)
    assert "texts embedded" in shown
    assert "2/2" in shown
    lines = [line.rpartition("\x1b[2K")[2] for line in shown.splitlines()]  # what is not erased
    (materialised,) = [line for line in lines if "✓" in line]
    assert materialised.startswith("\x1b[32m✓\x1b[0m step ")
    assert "a message of the step" in lines
    assert lines[-1] == "the report"
