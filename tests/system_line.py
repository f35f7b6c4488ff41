"""Calling ``idn-gym system`` from a test, as its own program: entry points are as they were when it was installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from idn_agents.systems.commands import system
from typer.testing import CliRunner

from idn_gym.errors import IdnError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"  # beside the repository; nothing of it is in it


def called(*arguments: object, status: int = 0) -> str:
    """What a command prints on stdout; it must end with that status."""
    done = CliRunner().invoke(system, [str(argument) for argument in arguments])
    assert done.exit_code == status, (done.exception, done.output)
    return done.stdout


def refused(*arguments: object) -> str:
    """The line that a command refuses its input with."""
    done = CliRunner().invoke(system, [str(argument) for argument in arguments])
    assert isinstance(done.exception, IdnError), (done.exception, done.output)
    assert done.stdout == ""
    return str(done.exception)


def decided(folder: Path, name: str, state: Any, *arguments: object) -> Any:
    """The JSON that ``decide`` answers a state with."""
    return json.loads(called("decide", name, "--state", written(folder, state), "--json", *arguments))


def undecided(folder: Path, name: str, state: Any) -> str:
    """The line that ``decide`` refuses a state with."""
    return refused("decide", name, "--state", written(folder, state), "--json")


def written(folder: Path, state: Any) -> Path:
    """A state file."""
    path = folder / "state.json"
    path.write_text(json.dumps(state))
    return path


def golden(name: str, data: Path | None = None) -> dict[str, Any]:
    """The checks of a system by their names, as ``check --json`` prints them; all of them must hold."""
    options = [] if data is None else ["--data", data]
    document = json.loads(called("check", name, "--json", *options))
    assert {check["system"] for check in document["checks"]} == {name}
    return {check["name"]: check for check in document["checks"]}
