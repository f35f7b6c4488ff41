"""What a record folder holds, written so that a kill or a full disk loses nothing complete, and read back.

Layout (docs/model.md#file-formats): ``run.json``, ``requests.csv``, ``capacities.csv`` when they vary, plots, and per
agent a folder with ``slots.csv``, ``allocations.csv``, ``fractional.json`` (the average over time of the fractional
state, as an allocation file) for an agent that has one, and last, as the mark of completion, ``result.json``.

``run.json`` and ``result.json`` hold SHA-256 digests of what was written with them, and of themselves less what was
typed and what a clock says; a record that is resumed is what the run wrote, or is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from idn_gym.common.files import Digested, atomic, collecting, read_json, write_pieces, write_text
from idn_gym.common.text import line
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import read_description, refuse_other_versions, versions
from idn_gym.experiment.metrics import Summary, summarise
from idn_gym.experiment.record_tables import (
    Changes,
    ChangesCsv,
    fractional_json,
    held_and_updates,
    read_fractional,
    read_slots,
    slots_csv,
)
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.model.network import Network
from idn_gym.typing import IntArray
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import capacities_csv, requests_csv

FORMAT = "idn-gym/run-1"
_STREAM = ("requests.csv", "capacities.csv")
_ROW = ("agent", *(field.name for field in fields(Summary) if field.default is MISSING), "seconds", "hindsight", "info")
_OF_AN_AGENT = ("slots.csv", "allocations.csv", "fractional.json")


def stream_digests(network: Network, trace: Trace) -> dict[str, str]:
    """The files that hold a stream: name -> digest; nothing is written, and no text kept."""
    digests = {}
    for name, pieces in _stream_files(network, trace).items():
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece.encode())
        digests[name] = digest.hexdigest()
    return digests


def write_run(output: Path, description: dict[str, Any], network: Network, trace: Trace) -> None:
    """Write what the agents of a run share: the files of the stream, and last ``run.json``.

    Raises
    ------
    IdnError
        If the folder holds anything but what a run of this stream left that was killed before its ``run.json``.
    """
    if there := [path for path in output.iterdir() if path.suffix != ".part"]:  # of the same stream
        digests = stream_digests(network, trace)
        for path in there:
            if not (path.name in digests and _digest(path) == digests[path.name]):
                raise IdnError(f"{output}: holds {path.name} but no run to resume; give another folder")
    files = _stream_files(network, trace)
    describe_run(output, description, {name: write_pieces(output / name, files[name]) for name in files})


def describe_run(output: Path, description: dict[str, Any], digests: dict[str, str]) -> None:
    """Write ``run.json`` beside the files of the stream, in place of one that lists fewer agents if it is there."""
    _write_object(output / "run.json", {**description, "digests": digests})


def read_run(
    output: Path, about: dict[str, Any], specs: Sequence[RunSpec], digests: dict[str, str] | None = None
) -> dict[str, Any]:
    """The values of a ``run.json`` that is about the same, and whose stream is the one that was written.

    Its agents may be some of those asked for, in the same order.

    Parameters
    ----------
    digests : `stream_digests` of the stream it must be about; None: whichever it has.

    Raises
    ------
    IdnError
        If it is about something else, of other versions, or not as it was written.
    """
    path = output / "run.json"
    kept = read_description(path, FORMAT)
    there = kept.get("agents")
    begun = [spec for spec in specs if isinstance(there, list) and str(spec.agent) in there]
    names = [name for spec in begun for name in spec.code]
    refuse_other_versions(path, kept.get("versions"), versions(names))
    differing = [key for key in about if key != "agents" and kept.get(key) != about[key]]
    if not differing and not in_order(there, about["agents"]):
        raise IdnError(
            f"{output}: holds a run of agents {line(str(there))}; --resume adds agents to them, and neither leaves any "
            "out nor changes their order"
        )
    if not differing:
        _refuse_changed(path, kept, _STREAM, "give another folder")
        digests = kept["digests"] if digests is None else digests
        differing = [name for name in _STREAM if kept["digests"].get(name) != digests.get(name)]
    if differing:
        raise IdnError(f"{output}: holds a run with other {', '.join(differing)}; resume with the same command")
    return kept


def read_record(folder: Path) -> dict[str, Any]:
    """The values of a ``run.json``, whatever versions wrote it, once it and its stream are known to be as written.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, of another format, or not as it was written.
    """
    path = folder / "run.json"
    kept = read_description(path, FORMAT)
    _refuse_changed(path, kept, _STREAM, "the record is not to be relied on")
    return kept


def in_order(part: Any, whole: Sequence[str]) -> bool:
    """Whether a list holds some of these, in their order."""
    rest = iter(whole)
    return isinstance(part, list) and all(item in rest for item in part)


def completed(folder: Path) -> bool:
    """Whether an agent has a result."""
    if folder.exists() and not folder.is_dir():
        raise IdnError(f"{folder}: is a file; must be the folder of an agent")
    return (folder / "result.json").exists()


def read_result(network: Network, folder: Path, agent: AgentSpec, slots: int | None = None) -> Result:
    """Read back what a completed agent left; the summary is computed anew from ``slots.csv``.

    Parameters
    ----------
    slots : of the run; None: as many as ``slots.csv`` has.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, or not as it was written.
    """
    figures = read_figures(folder, agent, slots)
    changes = Changes(network, folder / "allocations.csv", len(figures.table.gain))
    held, updates = held_and_updates(changes)
    fractional = read_fractional(network, folder / "fractional.json")
    if (fractional is None) != (figures.table.fractional_gain is None):
        raise IdnError(f"{folder / 'fractional.json'}: goes with a column fractional_gain in slots.csv; one is missing")
    return replace(figures, changes=changes, updates=updates, held=held, fractional=fractional)


def read_figures(folder: Path, agent: AgentSpec, slots: int | None = None) -> Result:
    """`read_result` less what was placed, which takes most of the time and memory: figures of slots alone."""
    kept = read_row(folder, agent)
    table = read_slots(folder / "slots.csv", slots)
    return Result(agent, kept["hindsight"], summarise(table), kept["seconds"], kept["info"], table)


def read_row(folder: Path, agent: AgentSpec) -> dict[str, Any]:
    """The values of a ``result.json``, once its files are known to be those that the run wrote.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, or not as it was written.
    """
    path = folder / "result.json"
    kept = read_json(path)
    _refuse_changed(path, kept, _OF_AN_AGENT, f"delete {folder} and give --resume to play the agent again")
    if missing := [key for key in _ROW if key not in kept]:
        raise IdnError(f"{path}: {missing[0]}: missing")
    seconds = kept["seconds"]
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0.0 <= seconds < 1e15:
        raise IdnError(f"{path}: seconds {str(seconds)[:60]}; must be a number >= 0")
    if kept["agent"] != str(agent):
        raise IdnError(f"{path}: of agent {kept['agent']}; must be {agent}")
    return {key: value for key, value in kept.items() if key != "digests"}


def record(network: Network, folder: Path, played: Callable[[Callable[[int, IntArray], None]], Result]) -> Result:
    """Let an agent play and write what it leaves, what is placed as it goes, and ``result.json`` last.

    Parameters
    ----------
    played : plays it, and tells what it is given of each slot in which what is placed changed, and what it is then.

    Raises
    ------
    IdnError
        If what it says of itself is not JSON.
    """
    path = folder / "allocations.csv"
    with collecting(path, folder.parent) as file:  # the folder of an agent is made when it has played to the end
        text, written = ChangesCsv(network), Digested(file)
        written.write(text.header)
        result = played(lambda slot, allocation: written.write(text.rows(slot, allocation)))
        folder.mkdir(exist_ok=True)
        digests = {"slots.csv": write_text(folder / "slots.csv", slots_csv(result.table)), path.name: written.digest}
        file.seek(0)
        with atomic(path) as kept:
            shutil.copyfileobj(file, kept)
    if result.fractional is not None:
        pieces = fractional_json(network, result.fractional)
        digests["fractional.json"] = write_pieces(folder / "fractional.json", pieces)
    about = {**result.row(), "hindsight": result.hindsight, "info": result.info, "digests": digests}
    try:
        _write_object(folder / "result.json", about)
    except (TypeError, ValueError) as error:
        raise IdnError(f"agent {result.agent}: what it left is not JSON, as records are: {error}") from None
    return replace(result, changes=Changes(network, path, len(result.table.gain)))


def _stream_files(network: Network, trace: Trace) -> dict[str, Iterator[str]]:
    """The files that hold a stream: name -> its text in pieces."""
    files = {"requests.csv": requests_csv(network, trace)}
    if trace.varying:
        files["capacities.csv"] = capacities_csv(network, trace)
    return files


def _write_object(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object with its own digest among those that it holds."""
    values = json.loads(json.dumps(values, allow_nan=False))
    digests = values.pop("digests")
    values["digests"] = {**digests, path.name: _own_digest(values)}
    write_text(path, json.dumps(values, indent=1) + "\n")


def _refuse_changed(path: Path, values: dict[str, Any], names: Sequence[str], advice: str) -> None:
    """Raise unless an object of `_write_object`, and the files that it has digests of, are as they were written.

    Parameters
    ----------
    names : of those files: the first is always written; one without a digest must not be there.
    """
    digests = values.get("digests")
    if not isinstance(digests, dict):
        raise IdnError(f"{path}: without digests of what the run wrote: damaged, or of another version; {advice}")
    rest = {key: value for key, value in values.items() if key != "digests"}
    if digests.get(path.name) != _own_digest(rest):
        raise IdnError(f"{path}: not as the run wrote it; {advice}")
    for name in names:
        file = path.with_name(name)
        if (name in digests or file.exists()) and digests.get(name) != _digest(file):
            raise IdnError(f"{file}: {'not as the run wrote it' if file.exists() else 'missing'}; {advice}")


def _own_digest(values: dict[str, Any]) -> str:
    """Of a JSON object, less what was typed and what a clock says."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: 0 if k == "seconds" and isinstance(v, int | float) else timeless(v) for k, v in value.items()}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    kept = {key: value for key, value in values.items() if key != "command"}
    return hashlib.sha256(json.dumps(timeless(kept), sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    """Of the content of a file; empty if it is none."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}") from None
