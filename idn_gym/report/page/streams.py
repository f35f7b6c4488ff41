"""Record folders of runs, read back for a page: streams, and what agents made of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from idn_gym.common.text import line
from idn_gym.errors import IdnError
from idn_gym.experiment import sweep
from idn_gym.experiment.folders import read_description
from idn_gym.experiment.record_files import completed, read_figures, read_record
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, parse


@dataclass(frozen=True, eq=False)
class Stream:
    """One request stream, and the agents that faced it."""

    folder: Path
    labels: Mapping[str, Any]  # what tells it from others, its scenario and seed among them
    about: Mapping[str, Any]  # the values of its ``run.json``
    results: Sequence[Result]  # of those agents that are done, less what was placed
    missing: Sequence[str]  # the others

    @cached_property
    def scenario(self) -> Scenario:
        """The resolved scenario."""
        return parse(self.about["scenario"], f"{self.folder / 'run.json'}: scenario")

    @cached_property
    def network(self) -> Network:
        """The network of the scenario."""
        return Network.compile(self.scenario)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """As in ``table.csv``."""
        kept = [{**one.row(), "hindsight": one.hindsight, "info": one.info} for one in self.results]
        return sweep.table_rows(self.labels, self.about["slots"], kept)


def read_stream(folder: Path, labels: Mapping[str, Any] | None = None) -> Stream:
    """The record folder of a run on one stream.

    Parameters
    ----------
    labels : what a sweep tells it by; default: its scenario and seed.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, or not as it was written.
    """
    about = read_record(folder)
    path = folder / "run.json"
    for key, kind in (("agents", list), ("slots", int), ("seed", int), ("scenario", dict), ("command", list)):
        if not isinstance(about.get(key), kind):
            raise IdnError(f"{path}: {key}: {line(str(about.get(key)), 60)}; not what a run writes")
    results, missing = [], []
    for text in map(str, about["agents"]):
        agent = AgentSpec.parse(text)
        if completed(folder / agent.folder):
            results.append(read_figures(folder / agent.folder, agent, about["slots"]))
        else:
            missing.append(text)
    named = {"scenario": str(about["scenario"].get("name")), "seed": about["seed"]}
    return Stream(folder, named if labels is None else labels, about, results, missing)


def read_streams(folder: Path) -> tuple[dict[str, Any], list[Stream], int]:
    """The folder of a sweep, or of a run of several seeds: what describes it, its streams, how many are not begun.

    Raises
    ------
    IdnError
        As `read_stream`.
    """
    path = folder / "sweep.json"
    about = read_description(path, sweep.FORMAT)
    cells = about.get("streams")
    if not isinstance(cells, list) or not all(isinstance(one, dict) and "folder" in one for one in cells):
        raise IdnError(f"{path}: streams: {line(str(cells), 60)}; not what a sweep writes")
    begun = [one for one in cells if (folder / str(one["folder"]) / "run.json").exists()]
    aside = ("folder", "agents")
    found = [
        read_stream(folder / str(one["folder"]), {key: value for key, value in one.items() if key not in aside})
        for one in begun
    ]
    return about, found, len(cells) - len(begun)
