"""Calling ``idn-gym`` from a test: as a process, where the contract is the point, or in this one, where speed is."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from idn_gym import cli

ENTRY = Path(sys.executable).parent / "idn-gym"  # the script that the installation put beside this interpreter
PATIENCE = 1200  # s; only so that a process that hangs ends in a failure, on a machine however busy
COMPILING = "idn-gym: compiling, once: later starts find what is compiled\n"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


def idn_gym(
    *arguments: object, plugins: Path | None = None, variables: dict[str, str] | None = None, **options: Any
) -> Outcome:
    """The command in a process of its own; less the line on compiling, which the first one of a fresh checkout says.

    Parameters
    ----------
    plugins : a folder of `install_agents`.
    variables : of the environment, beside ours; then that line stays.
    options : those of `Popen`.
    """
    with started(*arguments, plugins=plugins, variables=variables, **options) as process:
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Outcome(process.returncode, stdout, stderr if variables or not stderr else stderr.replace(COMPILING, ""))


def started(
    *arguments: object, plugins: Path | None = None, variables: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """The command in a process of its own, not waited for; parameters as `idn_gym`."""
    env = environment() | (variables or {})
    if plugins:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(plugins), env.get("PYTHONPATH")]))
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"} | options
    return subprocess.Popen([str(ENTRY), *map(str, arguments)], env=env, **how)


def in_process(*arguments: object) -> Outcome:
    """The command's entry point in this process. An exception other than `SystemExit` is passed on: no traceback."""
    stdout, stderr = io.StringIO(), io.StringIO()
    status: Any = 0
    with (
        mock.patch.object(sys, "argv", ["idn-gym", *map(str, arguments)]),
        mock.patch.object(cli.app, "registered_commands", list(cli.app.registered_commands)),  # `main` adds to them
        mock.patch.object(cli.app, "registered_groups", list(cli.app.registered_groups)),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
    return Outcome(status, stdout.getvalue(), stderr.getvalue())


def environment() -> dict[str, str]:
    """Variables of a child process: ours, with UTF-8 streams and one thread, whatever the machine is set to."""
    return {**os.environ, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def install_agents(folder: Path, source: str, entry_points: str) -> Path:
    """What pip would leave behind for a package of somebody's agents: a module `theirs` and its entry points."""
    about = folder / "theirs-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "theirs.py").write_text(source)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)
    return folder


def comparable(folder: Path) -> dict[str, bytes]:
    """Every file of a record folder by its path, with what a clock wrote taken out."""
    return {
        str(path.relative_to(folder)): re.sub(rb'"seconds": [0-9.e+-]+', b'"seconds": 0', path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
