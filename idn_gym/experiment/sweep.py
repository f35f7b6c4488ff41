"""Sweeps: many runs in cells, each cell with a record folder of its own, and one table of all.

Layout: ``sweep.json`` (what is swept, versions, command), a record folder per cell as `records` writes them, and when
all runs are complete ``table.csv``, a row per run. A run of several seeds is a sweep over them, in folders ``seed-N``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from idn_gym.common.files import read_json, write_text
from idn_gym.common.text import line
from idn_gym.errors import IdnError
from idn_gym.experiment import records
from idn_gym.experiment.bounds import SHARES, least_static_bound, shares
from idn_gym.experiment.folders import (
    described,
    folder_name,
    locked,
    read_description,
    refuse_other_versions,
    resumed,
    versions,
)
from idn_gym.experiment.metrics import Summary
from idn_gym.experiment.record_files import in_order, read_row, stream_digests
from idn_gym.experiment.spec import AgentSpec, RunSpec, refuse_network
from idn_gym.experiment.workers import on_processes, on_ray
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario
from idn_gym.scenario.workloads import Replay

FORMAT = "idn-gym/sweep-1"
FIGURES = (*(field.name for field in fields(Summary)), "seconds", *SHARES)  # keys of a row that may be averaged
_OF_A_RUN = {"agent", "seed", "slots", "static_bound", *FIGURES}

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]  # what is done, cells done, cells in all


def silent(cell: str, done: int, cells: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Cell:
    """One request stream and the runs that face it: the unit that workers share out, and one record folder.

    Its agents share the drawing of the stream, and the bound that one of them may prove.
    """

    labels: dict[str, Any]  # what tells it from others, as columns of the table: JSON values
    runs: tuple[RunSpec, ...]  # differ in their agent alone
    name: str = ""  # of its record folder; empty: see `folder`
    command: tuple[str, ...] = ()  # that would make this record folder alone; empty: that of the sweep

    @cached_property
    def folder(self) -> str:
        """Name of its record folder: its own, or a slug of the labels, and a short hash of what is run."""
        if self.name:
            return self.name
        run = self.runs[0]
        files = [str(path) for path in (run.trace, run.capacities) if path]
        return folder_name(str(self), [self.labels, run.scenario.to_dict(), run.seed, run.slots, files])

    def __str__(self) -> str:
        return ", ".join(str(value) if key == "scenario" else f"{key} {value}" for key, value in self.labels.items())


def run(
    cells: Sequence[Cell],
    output: Path,
    *,
    workers: int | None = 1,
    resume: bool = False,
    address: str | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
    plots: records.Plots | None = None,
) -> list[Row]:
    """Play every run of every cell, and tabulate them.

    Parameters
    ----------
    output : folder of the sweep; new or empty, unless `resume`.
    workers : processes to share the cells out to; 1: this one. With an `address`, cells in flight at most.
    resume : keep the runs that are complete, and play the others from their start. Cells and agents may be added to
        those that the folder is about: it is that of one sweep of them all then.
    address : of a Ray cluster, whose workers must see `output` under the same path; see `workers.on_ray`.
    command : what was typed; kept in the records.
    plots : draws into each record folder, as in `records.run`; must pickle.

    Returns
    -------
    The rows of ``table.csv``: labels, slots, the row of each run, and where one of the cell's agents has proven a bound
    on its stream ``static_bound``, the total gain in ms that no static allocation exceeds, and `bounds.shares` of it.

    Raises
    ------
    IdnError
        If an agent or folder is not as it must be, another process is at work in it, or what is read back from it is
        not what this version would have written; nothing is played then.
    ChildProcessError
        If runs are missing at the end: a worker was killed, or an agent failed. All others are complete.
    """
    _refuse_twice(cells)
    _refuse_agents(cells)
    output = output.resolve()
    with locked(output):
        _begin(output, cells, resume, command)
        pending = [cell for cell in cells if plots is not None or not _complete(output, cell)]
        pieces = [(cell, output, cell.command or tuple(command), plots) for cell in pending]
        at_most = max(1, min(1 if workers is None else workers, len(pieces)))
        done = on_ray(play, pieces, address, workers) if address else on_processes(play, pieces, at_most)
        faults = {}
        for n, (index, fault) in enumerate(done, 1):
            cell = pending[index]
            if fault is None and not _complete(output, cell):
                fault = f"{output / cell.folder} is not there; does every worker see --output under this path?"
            if fault is not None:
                faults[index] = f"{cell}: {fault}"
            progress(faults.get(index, str(cell)), len(cells) - len(pending) + n, len(cells))
        if faults:
            first = faults[min(faults)]
            raise ChildProcessError(
                f"{len(faults)} of {len(cells)} cells are not complete; the first: {first}; --resume goes on with them"
            )
        rows = [row for cell in cells for row in _rows(output, cell)]
        write_text(output / "table.csv", to_csv(rows))
    return rows


def play(cell: Cell, output: Path, command: Sequence[str], plots: records.Plots | None) -> None:
    """Play what is missing of a cell; what a worker does."""
    records.run(cell.runs, output / cell.folder, resume=True, command=command, plots=plots)


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV, with a column for every key of any of them; empty where a row has no such key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_rows(labels: Mapping[str, Any], slots: int, results: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of ``table.csv`` that a cell has.

    Parameters
    ----------
    results : of its agents, as `record_files.read_row` gives them.
    """
    infos = [result["info"] for result in results]
    bound = least_static_bound(infos)
    return [
        {
            **labels,
            "slots": slots,
            **{k: v for k, v in result.items() if k not in ("hindsight", "info")},
            **({} if bound is None else {"static_bound": bound}),
            **shares(result.get("net", result["gain"]), infos),
        }
        for result in results
    ]


def label_keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of rows that tell settings apart: what is neither a run's own nor its seed."""
    return [key for key in dict.fromkeys(key for row in rows for key in row) if key not in _OF_A_RUN]


def _refuse_twice(cells: Sequence[Cell]) -> None:
    folders: dict[str, Cell] = {}
    for cell in cells:
        if cell.folder in folders:
            raise IdnError(f"{cell} twice; each cell is run once")
        folders[cell.folder] = cell
        agents = [spec.agent.folder for spec in cell.runs]
        if len(set(agents)) < len(agents):
            raise IdnError(f"{cell}: the same agent with the same parameters twice; each can run once")


def _refuse_agents(cells: Sequence[Cell]) -> None:
    """Raise where an agent has a wrong parameter or does not take a network: it should not cost the runs before it."""
    agents = {str(spec.agent): spec.agent for cell in cells for spec in cell.runs}
    made = {text: agent.make() for text, agent in agents.items()}
    asking: dict[int, tuple[Scenario, dict[str, AgentSpec]]] = {}  # seeds share a scenario, which takes long to compile
    for spec in (spec for cell in cells for spec in cell.runs):
        if hasattr(made[str(spec.agent)], "accepts"):
            asking.setdefault(id(spec.scenario), (spec.scenario, {}))[1][str(spec.agent)] = spec.agent
    for scenario, specs in asking.values():
        network = Network.compile(scenario)
        for text, agent in specs.items():
            refuse_network(agent, made[text], network)


def _begin(output: Path, cells: Sequence[Cell], resume: bool, command: Sequence[str]) -> None:
    """Write what is swept, or make sure that what is in a folder to resume is part of it."""
    listed = [
        {"folder": cell.folder, **cell.labels, "agents": [str(spec.agent) for spec in cell.runs]} for cell in cells
    ]
    description = output / "sweep.json"
    agents: dict[str, dict[str, None]] = {}  # as cells list them -> names of the code that they run
    for spec in (spec for cell in cells for spec in cell.runs):
        agents.setdefault(str(spec.agent), {}).update(dict.fromkeys(spec.code))
    if resumed(description, resume, "runs"):
        there = _read_back(description, listed, agents)
        _verify(output, [cell for cell in cells if (output / cell.folder / "run.json").exists()])
        if there == listed:
            return
    elif any(path.suffix != ".part" for path in output.iterdir()):
        raise IdnError(f"{output}: holds files but no sweep to resume, nor a run of several seeds; give another folder")
    # "streams" is the word of the file format for cells
    about = described(
        FORMAT, command, {"streams": listed}, dict.fromkeys(name for names in agents.values() for name in names)
    )
    write_text(description, json.dumps(about, indent=1) + "\n")


def _read_back(path: Path, listed: list[dict[str, Any]], agents: dict[str, dict[str, None]]) -> list[dict[str, Any]]:
    """What a ``sweep.json`` lists: some of these cells and of their agents, by versions that are the ones here.

    Parameters
    ----------
    agents : as cells list them -> names of the code that they run.
    """
    kept = read_description(path, FORMAT)
    there = kept.get("streams")
    if not isinstance(there, list) or not all(isinstance(one, dict) for one in there):
        raise IdnError(f"{path}: streams: {line(str(there), 60)}; not what a sweep writes")
    asked = {one["folder"]: one for one in listed}
    for one in there:
        ours = asked.get(str(one.get("folder")), {})
        if {**one, "agents": ()} != {**ours, "agents": ()} or not in_order(one.get("agents"), ours.get("agents", ())):
            cell = f"{one.get('folder')} of agents {one.get('agents')}"
            raise IdnError(
                f"{path.parent}: holds another sweep, with {line(cell)}; --resume adds cells and agents, and neither "
                "leaves any out nor changes the order of agents"
            )
    names = dict.fromkeys(name for one in there for agent in one["agents"] for name in agents[agent])
    refuse_other_versions(path, kept.get("versions"), versions(names))
    return there


def _verify(output: Path, cells: Sequence[Cell]) -> None:
    """Raise unless the records of cells that were begun are as they were written, on the streams that they face now."""
    found: dict[Any, dict[str, str]] = {}
    for cell in cells:
        run = cell.runs[0]
        digests = None
        if run.trace is not None or isinstance(run.scenario.workload, Replay):  # else scenario and seed decide it
            key = run.trace, run.capacities, run.slots, id(run.scenario)
            if key not in found:
                found[key] = stream_digests(*run.stream())
            digests = found[key]
        records.verify(output / cell.folder, cell.runs, digests)


def _complete(output: Path, cell: Cell) -> bool:
    return all((output / cell.folder / spec.agent.folder / "result.json").exists() for spec in cell.runs)


def _rows(output: Path, cell: Cell) -> list[Row]:
    folder = output / cell.folder
    slots = read_json(folder / "run.json")["slots"]
    return table_rows(cell.labels, slots, [read_row(folder / spec.agent.folder, spec.agent) for spec in cell.runs])
