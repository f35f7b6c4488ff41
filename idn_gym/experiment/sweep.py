"""Sweeps: many runs, each stream with the agents that face it in a record folder of its own, and one table of all.

Layout: ``sweep.json`` (what is swept, versions, command), a record folder per stream as `records` writes them, and when
all runs are complete ``table.csv``, a row per run.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from idn_gym.common.files import read_json, write_text
from idn_gym.errors import IdnError
from idn_gym.experiment import records
from idn_gym.experiment.experiment import RunSpec
from idn_gym.experiment.locks import locked
from idn_gym.experiment.workers import on_processes, on_ray

FORMAT = "idn-gym/sweep-1"

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]  # what is done, streams done, streams in all


def silent(stream: str, done: int, streams: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Stream:
    """One request stream and the runs that face it: the unit that workers share out, and one record folder.

    Agents of a stream share the drawing of it, and the bound that one of them may prove.
    """

    labels: dict[str, Any]  # what tells it from others, as columns of the table: JSON values
    runs: tuple[RunSpec, ...]  # differ in their agent alone

    @cached_property
    def folder(self) -> str:
        """Name of its record folder: a slug of the labels, and a short hash of what is run."""
        run = self.runs[0]
        files = [str(path) for path in (run.trace, run.capacities) if path]
        text = json.dumps([self.labels, run.scenario.to_dict(), run.seed, run.slots, files], sort_keys=True)
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", str(self))[:60].strip("-.")
        return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        return ", ".join(str(value) if key == "scenario" else f"{key} {value}" for key, value in self.labels.items())


def run(
    streams: Sequence[Stream],
    output: Path,
    *,
    workers: int | None = 1,
    resume: bool = False,
    address: str | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> list[Row]:
    """Play every run of every stream, and tabulate them.

    Parameters
    ----------
    output : folder of the sweep; new or empty, unless `resume`.
    workers : processes to share the streams out to; 1: this one. With an `address`, streams in flight at most.
    resume : keep the runs that are complete, and play the others from their start.
    address : of a Ray cluster, whose workers must see `output` under the same path; see `workers.on_ray`.
    command : what was typed; kept in the records.

    Returns
    -------
    The rows of ``table.csv``: labels, slots, the row of each run, and ``static_bound``, the total gain in ms that no
    static allocation exceeds on the stream, where one of its agents has proven one.

    Raises
    ------
    IdnError
        If an agent or folder is not as it must be, another process is at work in it, or what is read back from it is
        not what this version would have written; nothing is played then.
    ChildProcessError
        If runs are missing at the end: a worker was killed, or an agent failed. All others are complete.
    """
    _refuse_twice(streams)
    for agent in {str(spec.agent): spec.agent for stream in streams for spec in stream.runs}.values():
        agent.make()  # a wrong parameter should not cost the runs before it
    output = output.resolve()
    with locked(output):
        _begin(output, streams, resume, command)
        pending = [stream for stream in streams if not _complete(output, stream)]
        pieces = [(stream, output, list(command)) for stream in pending]
        at_most = max(1, min(1 if workers is None else workers, len(pieces)))
        done = on_ray(play, pieces, address, workers) if address else on_processes(play, pieces, at_most)
        faults = {}
        for n, (index, fault) in enumerate(done, 1):
            stream = pending[index]
            if fault is None and not _complete(output, stream):
                fault = f"{output / stream.folder} is not there; does every worker see --output under this path?"
            if fault is not None:
                faults[index] = f"{stream}: {fault}"
            progress(faults.get(index, str(stream)), len(streams) - len(pending) + n, len(streams))
        if faults:
            first = faults[min(faults)]
            raise ChildProcessError(
                f"{len(faults)} of {len(streams)} streams are not complete; the first: {first}; "
                "--resume goes on with them"
            )
        rows = [row for stream in streams for row in _rows(output, stream)]
        write_text(output / "table.csv", to_csv(rows))
    return rows


def play(stream: Stream, output: Path, command: Sequence[str]) -> None:
    """Play what is missing of a stream; what a worker does."""
    records.run(stream.runs, output / stream.folder, resume=True, command=command)


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV, with a column for every key of any of them; empty where a row has no such key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _refuse_twice(streams: Sequence[Stream]) -> None:
    folders: dict[str, Stream] = {}
    for stream in streams:
        if stream.folder in folders:
            raise IdnError(f"sweep: {stream} twice; each stream is run once")
        folders[stream.folder] = stream
        agents = [spec.agent.folder for spec in stream.runs]
        if len(set(agents)) < len(agents):
            raise IdnError(f"sweep: {stream}: the same agent with the same parameters twice; each can run once")


def _begin(output: Path, streams: Sequence[Stream], resume: bool, command: Sequence[str]) -> None:
    """Write what is swept, or make sure that a folder to resume is about the same."""
    listed = [
        {"folder": stream.folder, **stream.labels, "agents": [str(spec.agent) for spec in stream.runs]}
        for stream in streams
    ]
    kept = output / "sweep.json"
    agents = dict.fromkeys(spec.agent.name for stream in streams for spec in stream.runs)
    if kept.exists() and resume:
        _read_back(kept, listed, records.versions(agents))
        for stream in streams:
            if (output / stream.folder / "run.json").exists() or _complete(output, stream):
                records.verify(output / stream.folder, stream.runs)
        return
    if any(path.suffix != ".part" for path in output.iterdir()):
        says = "not empty" if not resume else "holds files but no sweep to resume"
        raise IdnError(
            f"{output}: {says}; give {'--resume to go on with the sweep there, or ' * (not resume)}another folder"
        )
    about = {"format": FORMAT, "command": list(command), "streams": listed, "versions": records.versions(agents)}
    write_text(kept, json.dumps(about, indent=1) + "\n")


def _read_back(path: Path, listed: list[dict[str, Any]], here: dict[str, str]) -> None:
    """Raise unless a ``sweep.json`` lists these streams, and was written by these versions."""
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise IdnError(f"{path}: format {str(values.get('format'))[:60]!r}; must be {FORMAT!r}")
    if values.get("streams") != listed:
        raise IdnError(f"{path.parent}: holds another sweep; resume with the same command and file")
    records.refuse_other_versions(path, values.get("versions"), here)


def _complete(output: Path, stream: Stream) -> bool:
    return all((output / stream.folder / spec.agent.folder / "result.json").exists() for spec in stream.runs)


def _rows(output: Path, stream: Stream) -> list[Row]:
    folder = output / stream.folder
    slots = read_json(folder / "run.json")["slots"]
    results = [records.read_row(folder / spec.agent.folder, spec.agent) for spec in stream.runs]
    bounds = [result["info"]["certified_bound"] for result in results if "certified_bound" in result["info"]]
    shared = {"static_bound": min(bounds)} if bounds else {}
    return [
        {
            **stream.labels,
            "slots": slots,
            **{k: v for k, v in result.items() if k not in ("hindsight", "info")},
            **shared,
        }
        for result in results
    ]
