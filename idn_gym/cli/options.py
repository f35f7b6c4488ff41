"""Options, arguments and habits that commands share, those of other packages too."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from idn_gym.cli import stdout
from idn_gym.common.text import shown
from idn_gym.errors import IdnError

NOTHING_TO_RESUME = "--resume: needs --output, the record folder to go on with"
_MOST_SEEDS = 10_000  # days of work, and records by the ten thousand
_ASIDE = ("--output", "--workers", "--address", "--max-runs")  # options that say where and how fast, not what


def _json_alone(context: typer.Context, as_json: bool) -> bool:
    if as_json:  # the root's end is the command's, whatever becomes of the other options
        context.find_root().with_resource(stdout.only_documents())
    return as_json


class Parts(StrEnum):
    """What results can be taken apart by."""

    SERVICE = "service"


ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="packaged name, id, or a scenario file")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. workload.rate=300")
]
AsJson = Annotated[
    bool, typer.Option("--json", callback=_json_alone, help="one JSON document on stdout and nothing else")
]
Slots = Annotated[int | None, typer.Option(min=1, help="slots; default: the trace's, or the scenario's horizon")]
Seed = Annotated[int, typer.Option(min=0, help="seed of the request stream and of the agents")]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="A:B", help="run each of several seeds, B excluded, e.g. 0:5 or 0,3,7: means and intervals"),
]
TraceFile = Annotated[Path | None, typer.Option("--trace", help="request file that replaces the workload")]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; default: one per core")]
Address = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="run on this Ray cluster; auto, ray://HOST:PORT, or local")
]
ByService = Annotated[Parts | None, typer.Option(help="what it comes to for each service")]
Verbose = Annotated[bool, typer.Option("--verbose", help="on stderr, every line that searches log")]
CapacityFile = Annotated[Path | None, typer.Option("--capacities", help="capacity file that goes with the trace")]


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    stdout.write(json.dumps(document, allow_nan=False) + "\n")


@contextmanager
def kept_or_temporary(output: Path | None, resume: bool) -> Iterator[Path]:
    """The folder for records: the one asked for, or one that is deleted afterwards."""
    if output is not None:
        yield output
        return
    if resume:
        raise IdnError(NOTHING_TO_RESUME)
    with TemporaryDirectory(prefix="idn-gym-") as folder:
        yield Path(folder)


def cores(address: str | None = None) -> int | None:
    """Workers where nobody says how many: a process per core, or what a Ray cluster has room for."""
    if address is not None and address != "local":
        return None
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seeds_in(text: str) -> list[int]:
    """The seeds that ``--seeds`` names, in its order: ``A:B``, B excluded, or numbers, or several with commas between.

    Raises
    ------
    IdnError
        If it is nothing of the kind, names a seed twice, or more of them than anyone runs.
    """
    seeds: list[int] = []
    for part in text.split(","):
        if not (found := re.fullmatch(r"([0-9]{1,19})(?::([0-9]{1,19}))?", part.strip(), re.ASCII)):
            raise IdnError(
                f"--seeds: {shown(text)}; must be A:B, B excluded, or whole numbers of at most 19 digits, with commas"
            )
        first = int(found[1])
        end = int(found[2]) if found[2] else first + 1
        if end <= first:
            raise IdnError(f"--seeds: {shown(text)}: {part.strip()} holds no seed; in A:B, B is excluded and above A")
        if end - first > _MOST_SEEDS - len(seeds):
            raise IdnError(f"--seeds: {shown(text)}: too many; at most {_MOST_SEEDS:,}")
        seeds += range(first, end)
    if len(set(seeds)) < len(seeds):
        raise IdnError(f"--seeds: {shown(text)}: a seed twice; each is run once")
    return seeds


def command_of_seed(command: Sequence[str], seed: int) -> tuple[str, ...]:
    """What would be typed for one of the seeds of a command alone."""
    words: list[str] = []
    for word in command:
        if words[-1:] == ["--seeds"]:
            words[-1:] = ["--seed", str(seed)]
        else:
            words.append(f"--seed={seed}" if word.startswith("--seeds=") else word)
    return tuple(words)


def typed_command(*shown: str) -> list[str]:
    """What was typed, without what results do not depend on: the same for a run and its resumption.

    Parameters
    ----------
    shown : options without a value that say what is shown of them, and are left out, too.
    """
    kept, skip = [], False
    for word in sys.argv[1:]:
        if skip:
            skip = False
        elif word in _ASIDE:
            skip = True
        elif word not in ("--resume", *shown) and word.partition("=")[0] not in _ASIDE:
            kept.append(word)
    return ["idn-gym", *kept]
