"""Calling ``idn-gym`` from a test: as a process, where the contract is the point, or in this one, where speed is."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from idn_gym import cli

ENTRY = Path(sys.executable).parent / "idn-gym"  # the script that the installation put beside this interpreter
PATIENCE = 300  # s; only so that a process that hangs ends in a failure


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


def idn_gym(*arguments: object, cwd: Path | None = None) -> Outcome:
    """The command in a process of its own."""
    done = subprocess.run(
        [str(ENTRY), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment(), timeout=PATIENCE
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def started(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, not waited for."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([str(ENTRY), *map(str, arguments)], text=True, env=environment(), **pipes, **options)


def in_process(*arguments: object) -> Outcome:
    """The command's entry point in this process. An exception other than `SystemExit` is passed on: no traceback."""
    stdout, stderr = io.StringIO(), io.StringIO()
    status: Any = 0
    with (
        mock.patch.object(sys, "argv", ["idn-gym", *map(str, arguments)]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
    return Outcome(status, stdout.getvalue(), stderr.getvalue())


def environment() -> dict[str, str]:
    """This environment, with UTF-8 streams and one thread, whatever the machine is set to."""
    return {**os.environ, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
