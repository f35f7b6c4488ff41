"""Record folders: what a run leaves behind, written so that a kill or a full disk loses nothing complete.

Layout (design, command line): ``run.json``, ``requests.csv``, ``capacities.csv`` when they vary, plots, and per agent
a folder with ``slots.csv``, ``allocations.csv``, ``fractional.json`` (the average over time of the fractional state, as
an allocation file) for an agent that has one, and last, as the mark of completion, ``result.json``.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from idn_gym.allocation_file import named_values
from idn_gym.errors import IdnError
from idn_gym.experiment import AgentSpec, Progress, Result, RunSpec, play, silent
from idn_gym.metrics import SlotTable, summarise
from idn_gym.network import Network
from idn_gym.scenario_file import parse_json, read_text
from idn_gym.trace import Trace, capacities_csv, number, requests_csv
from idn_gym.typing import FloatArray, IntArray

FORMAT = "idn-gym/run-1"
_PACKAGES = ("idn-gym", "gymnasium", "numpy", "scipy", "numba", "networkx", "pydantic", "highspy")


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
        If an agent, trace or folder is not as it must be; nothing is played then.
    OSError
        If the disk is full; what was complete stays.
    """
    if len({spec.agent.folder for spec in specs}) < len(specs):
        raise IdnError("agents: the same agent with the same parameters twice; each can run once")
    for spec in specs:
        spec.agent.make()  # a wrong parameter should not cost the agents before it
    network, trace = specs[0].stream()
    if output is not None:
        _begin(output, specs, network, trace, resume, command)
    results = []
    for spec in specs:
        folder = output / spec.agent.folder if output else None
        if folder and (folder / "result.json").exists():
            results.append(read_result(network, folder, spec.agent))
            continue
        result = play(network, trace, spec.agent, spec.seed, progress)
        if folder:
            _write_result(network, folder, result)
        results.append(result)
    if output is not None and plots is not None:
        plots(output, network, trace, results)
    return network, trace, results


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole and on the disk."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as file:
        file.write(text.encode())


def read_result(network: Network, folder: Path, agent: AgentSpec) -> Result:
    """Read back what a completed agent left; the summary is computed anew from ``slots.csv``."""
    kept = read_json(folder / "result.json")
    table = read_slots(folder / "slots.csv")
    changes = _read_changes(network, folder / "allocations.csv")
    known = (agent, kept["hindsight"], summarise(table), kept["seconds"], kept["info"], table, changes)
    return Result(*known, read_fractional(network, folder / "fractional.json"))


def _begin(
    output: Path, specs: Sequence[RunSpec], network: Network, trace: Trace, resume: bool, command: Sequence[str]
) -> None:
    """Write what the agents share, or make sure that a folder to resume is about the same runs."""
    stream = {"requests.csv": requests_csv(network, trace)}
    if trace.varying:
        stream["capacities.csv"] = capacities_csv(network, trace)
    about = {
        "scenario": network.scenario.to_dict(),
        "seed": specs[0].seed,
        "slots": trace.slots,
        "agents": [str(spec.agent) for spec in specs],
    }
    if output.exists() and not output.is_dir():
        raise IdnError(f"{output}: is a file; --output takes a folder")
    if (output / "run.json").exists() and resume:
        kept = read_json(output / "run.json")
        differing = [key for key in about if kept.get(key) != about[key]]
        files = ("requests.csv", "capacities.csv")
        differing += [name for name in files if not _holds(output / name, stream.get(name))]
        if differing:
            raise IdnError(f"{output}: holds a run with other {', '.join(differing)}; resume with the same command")
        return
    if output.exists() and any(output.iterdir()) and not resume:
        raise IdnError(f"{output}: not empty; give --resume to go on with the run there, or another folder")
    output.mkdir(parents=True, exist_ok=True)
    for path in output.iterdir():  # a run killed before its run.json left the same stream, or the beginning of it
        if path.suffix != ".part" and not (path.name in stream and _holds(path, stream[path.name])):
            raise IdnError(f"{output}: holds {path.name} but no run to resume; give another folder")
    for name, text in stream.items():
        write_text(output / name, text)
    about = {"format": FORMAT, "command": list(command), **about, "versions": versions()}
    write_text(output / "run.json", json.dumps(about, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a record."""
    values = parse_json(read_text(path), str(path))
    if not isinstance(values, dict):
        raise IdnError(f"{path}: {str(values)[:60]}; not what a run writes")
    return values


def _holds(path: Path, text: str | None) -> bool:
    """Whether a file has this text; None: whether there is none."""
    if text is None or not path.exists():
        return text is None and not path.exists()
    return read_text(path, 2**31) == text


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _write_result(network: Network, folder: Path, result: Result) -> None:
    folder.mkdir(exist_ok=True)
    write_text(folder / "slots.csv", _slots_csv(result.table))
    write_text(folder / "allocations.csv", _changes_csv(network, result.changes))
    if result.fractional is not None:
        text = json.dumps(named_values(network, result.fractional), separators=(",", ":"))
        write_text(folder / "fractional.json", text.replace("},", "},\n") + "\n")
    about = {**result.row(), "hindsight": result.hindsight, "info": result.info}
    write_text(folder / "result.json", json.dumps(about, indent=1) + "\n")


def _slots_csv(table: SlotTable) -> str:
    columns = table.columns()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["slot", *columns])
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    writer.writerows([t, *map(number, row)] for t, row in enumerate(rows))
    return text.getvalue()


def read_slots(path: Path) -> SlotTable:
    """Read a ``slots.csv``."""
    rows = list(csv.reader(io.StringIO(read_text(path, 2**31))))
    values = np.array(rows[1:], dtype=np.float64)
    return SlotTable(**{name: values[:, i] for i, name in enumerate(rows[0]) if name != "slot"})


def read_fractional(network: Network, path: Path) -> FloatArray | None:
    """(P,) the average state in a ``fractional.json``; None where there is no such file."""
    if not path.exists():
        return None
    held = read_json(path)
    pairs = zip(network.placement_node.tolist(), network.placement_model.tolist(), strict=True)
    return np.array([held[network.node_names[v]][network.model_names[m]] for v, m in pairs])


def _changes_csv(network: Network, changes: list[tuple[int, IntArray]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["slot", "node", "model"])
    for slot, allocation in changes:
        placed = np.flatnonzero(allocation)
        nodes, models = network.placement_node[placed], network.placement_model[placed]
        rows = [(slot, network.node_names[v], network.model_names[m]) for v, m in zip(nodes, models, strict=True)]
        writer.writerows(rows or [(slot, "", "")])
    return text.getvalue()


def _read_changes(network: Network, path: Path) -> list[tuple[int, IntArray]]:
    nodes = {name: v for v, name in enumerate(network.node_names)}
    models = {name: m for m, name in enumerate(network.model_names)}
    changes: dict[int, IntArray] = {}
    for slot, node, model in list(csv.reader(io.StringIO(read_text(path, 2**31))))[1:]:
        allocation = changes.setdefault(int(slot), np.zeros(network.P, dtype=np.int8))
        if node:
            allocation[network.placement_index[nodes[node], models[model]]] = 1
    return list(changes.items())
