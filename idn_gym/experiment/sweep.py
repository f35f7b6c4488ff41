"""Sweeps: many runs in cells, each cell with a record folder of its own, and one table of all.

Layout: ``sweep.json`` (what is swept, versions, command), a record folder per cell as `records` writes them, and when
all runs are complete ``table.csv``, a row per run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from idn_gym.common.files import read_json, write_text
from idn_gym.errors import IdnError
from idn_gym.experiment import records
from idn_gym.experiment.bounds import least_static_bound
from idn_gym.experiment.folders import (
    described,
    folder_name,
    locked,
    read_description,
    refuse_other_versions,
    resumed,
    versions,
)
from idn_gym.experiment.record_files import read_row
from idn_gym.experiment.spec import AgentSpec, RunSpec, refuse_network
from idn_gym.experiment.workers import on_processes, on_ray
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario

FORMAT = "idn-gym/sweep-1"

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

    @cached_property
    def folder(self) -> str:
        """Name of its record folder: a slug of the labels, and a short hash of what is run."""
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
) -> list[Row]:
    """Play every run of every cell, and tabulate them.

    Parameters
    ----------
    output : folder of the sweep; new or empty, unless `resume`.
    workers : processes to share the cells out to; 1: this one. With an `address`, cells in flight at most.
    resume : keep the runs that are complete, and play the others from their start.
    address : of a Ray cluster, whose workers must see `output` under the same path; see `workers.on_ray`.
    command : what was typed; kept in the records.

    Returns
    -------
    The rows of ``table.csv``: labels, slots, the row of each run, and ``static_bound``, the total gain in ms that no
    static allocation exceeds on the cell's stream, where one of its agents has proven one.

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
        pending = [cell for cell in cells if not _complete(output, cell)]
        pieces = [(cell, output, list(command)) for cell in pending]
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
                f"{len(faults)} of {len(cells)} streams are not complete; the first: {first}; "
                "--resume goes on with them"
            )
        rows = [row for cell in cells for row in _rows(output, cell)]
        write_text(output / "table.csv", to_csv(rows))
    return rows


def play(cell: Cell, output: Path, command: Sequence[str]) -> None:
    """Play what is missing of a cell; what a worker does."""
    records.run(cell.runs, output / cell.folder, resume=True, command=command)


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV, with a column for every key of any of them; empty where a row has no such key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _refuse_twice(cells: Sequence[Cell]) -> None:
    folders: dict[str, Cell] = {}
    for cell in cells:
        if cell.folder in folders:
            raise IdnError(f"sweep: {cell} twice; each stream is run once")
        folders[cell.folder] = cell
        agents = [spec.agent.folder for spec in cell.runs]
        if len(set(agents)) < len(agents):
            raise IdnError(f"sweep: {cell}: the same agent with the same parameters twice; each can run once")


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
    """Write what is swept, or make sure that a folder to resume is about the same."""
    listed = [
        {"folder": cell.folder, **cell.labels, "agents": [str(spec.agent) for spec in cell.runs]} for cell in cells
    ]
    description = output / "sweep.json"
    agents = dict.fromkeys(name for cell in cells for spec in cell.runs for name in spec.code)
    if resumed(description, resume, "sweep"):
        _read_back(description, listed, versions(agents))
        for cell in cells:
            if (output / cell.folder / "run.json").exists() or _complete(output, cell):
                records.verify(output / cell.folder, cell.runs)
        return
    if any(path.suffix != ".part" for path in output.iterdir()):
        raise IdnError(f"{output}: holds files but no sweep to resume; give another folder")
    # "streams" is the word of the file format for cells
    about = described(FORMAT, command, {"streams": listed}, agents)
    write_text(description, json.dumps(about, indent=1) + "\n")


def _read_back(path: Path, listed: list[dict[str, Any]], here: dict[str, str]) -> None:
    """Raise unless a ``sweep.json`` lists these cells, and was written by these versions."""
    kept = read_description(path, FORMAT)
    if kept.get("streams") != listed:
        raise IdnError(f"{path.parent}: holds another sweep; resume with the same command and file")
    refuse_other_versions(path, kept.get("versions"), here)


def _complete(output: Path, cell: Cell) -> bool:
    return all((output / cell.folder / spec.agent.folder / "result.json").exists() for spec in cell.runs)


def _rows(output: Path, cell: Cell) -> list[Row]:
    folder = output / cell.folder
    slots = read_json(folder / "run.json")["slots"]
    results = [read_row(folder / spec.agent.folder, spec.agent) for spec in cell.runs]
    bound = least_static_bound(result["info"] for result in results)
    shared = {} if bound is None else {"static_bound": bound}
    return [
        {
            **cell.labels,
            "slots": slots,
            **{k: v for k, v in result.items() if k not in ("hindsight", "info")},
            **shared,
        }
        for result in results
    ]
