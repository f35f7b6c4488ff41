"""Record folders: what a run leaves behind, written so that a kill or a full disk loses nothing complete.

Layout (docs/model.md#file-formats): ``run.json``, ``requests.csv``, ``capacities.csv`` when they vary, plots, and per
agent a folder with ``slots.csv``, ``allocations.csv``, ``fractional.json`` (the average over time of the fractional
state, as an allocation file) for an agent that has one, and last, as the mark of completion, ``result.json``.

``run.json`` and ``result.json`` hold SHA-256 digests of what was written with them, and of themselves less what was
typed and what a clock says; a record that is resumed is what the run wrote, or is refused.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from idn_gym import plugins
from idn_gym.common.files import read_json, write_text
from idn_gym.errors import IdnError
from idn_gym.experiment.experiment import AgentSpec, Progress, Result, RunSpec, play, silent
from idn_gym.experiment.locks import locked
from idn_gym.experiment.metrics import Summary, summarise
from idn_gym.experiment.record_tables import (
    changes_csv,
    fractional_json,
    read_changes,
    read_fractional,
    read_slots,
    slots_csv,
)
from idn_gym.model.network import Network
from idn_gym.workload.trace import Trace, capacities_csv, requests_csv

FORMAT = "idn-gym/run-1"
_PACKAGES = (
    *("idn-gym", "gymnasium", "numpy", "scipy", "numba", "llvmlite", "networkx", "pydantic", "PyYAML", "highspy"),
    *("torch", "triton", "stable-baselines3", "sb3-contrib"),
)
_STREAM = ("requests.csv", "capacities.csv")
_ROW = ("agent", *(field.name for field in fields(Summary) if field.default is MISSING), "seconds", "hindsight", "info")
_OF_AN_AGENT = ("slots.csv", "allocations.csv", "fractional.json")


def run(
    specs: Sequence[RunSpec],
    output: Path | None = None,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    progress: Progress = silent,
    plots: Callable[[Path, Network, Trace, list[Result]], None] | None = None,
) -> tuple[Network, Trace, list[Result]]:
    """Play agents on one and the same stream, and keep the records under `output` if given.

    Parameters
    ----------
    specs : runs that differ in their agent alone.
    output : record folder; new or empty, unless `resume`.
    resume : keep the agents that have a result there, and play the others from their start.
    command : what was typed, without ``--output`` and ``--resume``; kept in ``run.json``.
    plots : draws into the record folder once every agent has played.

    Raises
    ------
    IdnError
        If an agent, trace or folder is not as it must be, another process is at work in the folder, or what is read
        back from it is not what this version would have written; nothing is played then.
    OSError
        If the disk is full; what was complete stays.
    """
    if len({spec.agent.folder for spec in specs}) < len(specs):
        raise IdnError("agents: the same agent with the same parameters twice; each can run once")
    for spec in specs:
        spec.agent.make()  # a wrong parameter should not cost the agents before it
    network, trace = specs[0].stream()
    if output is None:
        return network, trace, [play(network, trace, spec.agent, spec.seed, progress) for spec in specs]
    with locked(output):
        _begin(output, specs, network, trace, resume, command)
        folders = [output / spec.agent.folder for spec in specs]
        kept = [
            read_result(network, folder, spec.agent, trace.slots) if _completed(folder) else None
            for folder, spec in zip(folders, specs, strict=True)
        ]
        results = []
        for spec, folder, result in zip(specs, folders, kept, strict=True):
            if result is None:
                result = play(network, trace, spec.agent, spec.seed, progress)
                _write_result(network, folder, result)
            results.append(result)
        if plots is not None:
            plots(output, network, trace, results)
    return network, trace, results


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
    kept = read_row(folder, agent)
    table = read_slots(folder / "slots.csv", slots)
    changes = read_changes(network, folder / "allocations.csv", len(table.gain))
    fractional = read_fractional(network, folder / "fractional.json")
    if (fractional is None) != (table.fractional_gain is None):
        raise IdnError(f"{folder / 'fractional.json'}: goes with a column fractional_gain in slots.csv; one is missing")
    return Result(agent, kept["hindsight"], summarise(table), kept["seconds"], kept["info"], table, changes, fractional)


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


def verify(output: Path, specs: Sequence[RunSpec]) -> None:
    """Make sure that a folder holds what these runs wrote, as far as they have come, without drawing their stream.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, of another version or run, or not as it was written.
    """
    slots = _read_run(output, _about(specs), _versions(specs)).get("slots")
    if not isinstance(slots, int):
        raise IdnError(f"{output / 'run.json'}: slots: {str(slots)[:60]}; must be a whole number")
    for spec in specs:
        if _completed(output / spec.agent.folder):
            read_row(output / spec.agent.folder, spec.agent)


def refuse_other_versions(path: Path, kept: Any, here: dict[str, str]) -> None:
    """Raise an `IdnError` unless the versions kept in a file are the ones here: results of others are not mixed."""
    if not isinstance(kept, dict):
        raise IdnError(f"{path}: versions: {str(kept)[:60]}; not what a run writes")
    differing = [
        f"{package} {str(kept.get(package, 'none'))[:40]} there and {here.get(package, 'none')} here"
        for package in dict.fromkeys([*here, *kept])
        if kept.get(package) != here.get(package)
    ]
    if differing:
        more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
        raise IdnError(f"{path}: written by other versions, which are not mixed: {differing[0]}{more}")


def _about(specs: Sequence[RunSpec], slots: int | None = None) -> dict[str, Any]:
    """What runs are about; without `slots`, as far as it is known before their stream is."""
    return {
        "scenario": specs[0].scenario.to_dict(),
        "seed": specs[0].seed,
        **({} if slots is None else {"slots": slots}),
        "agents": [str(spec.agent) for spec in specs],
    }


def _versions(specs: Sequence[RunSpec]) -> dict[str, str]:
    return versions(spec.agent.name for spec in specs)


def _begin(
    output: Path, specs: Sequence[RunSpec], network: Network, trace: Trace, resume: bool, command: Sequence[str]
) -> None:
    """Write what the agents share, or make sure that a folder to resume is about the same runs."""
    stream = {"requests.csv": requests_csv(network, trace)}
    if trace.varying:
        stream["capacities.csv"] = capacities_csv(network, trace)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in stream.items()}
    about = _about(specs, trace.slots)
    if (output / "run.json").exists() and resume:
        kept = _read_run(output, about, _versions(specs))
        if differing := [name for name in _STREAM if kept["digests"].get(name) != digests.get(name)]:
            raise _another(output, differing)
        return
    if any(output.iterdir()) and not resume:
        raise IdnError(f"{output}: not empty; give --resume to go on with the run there, or another folder")
    for path in output.iterdir():  # a run killed before its run.json left the same stream, or the beginning of it
        if path.suffix != ".part" and not (path.name in stream and _digest(path) == digests[path.name]):
            raise IdnError(f"{output}: holds {path.name} but no run to resume; give another folder")
    for name, text in stream.items():
        write_text(output / name, text)
    kept = {"format": FORMAT, "command": list(command), **about, "versions": _versions(specs), "digests": digests}
    _write_object(output / "run.json", kept)


def _read_run(output: Path, about: dict[str, Any], here: dict[str, str]) -> dict[str, Any]:
    """The values of a ``run.json`` that is about the same, and whose stream is the one that was written."""
    path = output / "run.json"
    kept = read_json(path)
    if kept.get("format") != FORMAT:
        raise IdnError(f"{path}: format {str(kept.get('format'))[:60]!r}; must be {FORMAT!r}")
    refuse_other_versions(path, kept.get("versions"), here)
    if differing := [key for key in about if kept.get(key) != about[key]]:
        raise _another(output, differing)
    _refuse_changed(path, kept, _STREAM, "give another folder")
    return kept


def _another(output: Path, differing: Sequence[str]) -> IdnError:
    return IdnError(f"{output}: holds a run with other {', '.join(differing)}; resume with the same command")


def _completed(folder: Path) -> bool:
    """Whether an agent has a result."""
    if folder.exists() and not folder.is_dir():
        raise IdnError(f"{folder}: is a file; must be the folder of an agent")
    return (folder / "result.json").exists()


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


def versions(agents: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python and of the packages that a result may depend on, those that registered the agents included."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | plugins.versions(agents)


def _write_result(network: Network, folder: Path, result: Result) -> None:
    texts = {
        "slots.csv": slots_csv(result.table),
        "allocations.csv": changes_csv(network, result.changes),
        "fractional.json": "" if result.fractional is None else fractional_json(network, result.fractional),
    }
    texts = {name: text for name, text in texts.items() if text}
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    about = {**result.row(), "hindsight": result.hindsight, "info": result.info, "digests": digests}
    try:
        _write_object(folder / "result.json", about)
    except (TypeError, ValueError) as error:
        raise IdnError(f"agent {result.agent}: what it left is not JSON, as records are: {error}") from None
