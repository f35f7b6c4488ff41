"""The sweep file: lists of scenarios, agents, seeds and overrides, every combination of which is run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.experiment.sweep import Cell
from idn_gym.library.load import load_scenario
from idn_gym.library.names import SCENARIO_OF_ID
from idn_gym.scenario.faults import faults_of, refusal
from idn_gym.scenario.file import read_values
from idn_gym.scenario.json_schema import without_schema
from idn_gym.scenario.kinds import SWEEP, expecting
from idn_gym.scenario.section import AsTuple, Count, Location, Name, Section

MOST_RUNS = 10_000  # unless more are asked for: days of work, and records by the million
_WORTH_SAYING = 1_000  # runs


class Grid(Section):
    """Scenarios x overrides x seeds are the cells; every agent faces the stream of each of them."""

    format: Literal["idn-gym/sweep-1"] = Field(description="version of this format")
    scenarios: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] = Field(
        description="packaged names, ids, or scenario files, relative to this file"
    )
    agents: Annotated[tuple[Location, ...], AsTuple, Field(min_length=1)] = Field(
        description="as after --agent: a name, FILE.py:Class or package.module:Class, :key=value,... behind it"
    )
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], AsTuple, Field(min_length=1)] = Field(
        description="seeds of the request streams and of the agents"
    )
    slots: Count | None = Field(default=None, description="slots of every run; default: the scenario's horizon")
    overrides: Annotated[tuple[dict[Name, Any], ...], AsTuple, Field(min_length=1)] = Field(
        default=({},), description="settings of the scenarios, each a mapping of dotted keys to values; default: none"
    )


def read_sweep(path: Path, most: int = MOST_RUNS, says: Callable[[str], None] = lambda line: None) -> list[Cell]:
    """The cells of a sweep file, in the order of its lists; seeds vary fastest.

    Parameters
    ----------
    most : runs; a file of more is refused before any of them takes time or memory.
    says : told how many runs a large sweep has, before its scenarios are resolved.

    Raises
    ------
    IdnError
        Naming the key and value of the first fault, in the file or in a scenario that it names.
    """
    with expecting(path, SWEEP):
        grid = _read_grid(path)
    sizes = {key: len(getattr(grid, key)) for key in ("scenarios", "overrides", "seeds", "agents")}
    runs = math.prod(sizes.values())
    counted = f"{path}: {runs:,} runs: " + " x ".join(f"{size:,} {key}" for key, size in sizes.items())
    if runs > most:
        raise IdnError(f"{counted}; at most {most:,} are run unless --max-runs allows more")
    if runs >= _WORTH_SAYING:
        says(counted)
    return list(_cells(grid, path))


def _read_grid(path: Path) -> Grid:
    data = read_values(path)
    if not isinstance(data, dict):
        raise IdnError(f"{path}: a sweep is a mapping of keys, not {str(data)[:60]!r}")
    try:
        return Grid.model_validate(without_schema(data))
    except ValidationError as error:
        raise refusal(path, faults_of(error, data, Grid)) from None


def _cells(grid: Grid, path: Path) -> Iterator[Cell]:
    agents = [AgentSpec.parse(text, path.parent) for text in grid.agents]
    overridden = list(dict.fromkeys(key for overrides in grid.overrides for key in overrides))
    for name, overrides in product(grid.scenarios, grid.overrides):
        beside = (Path(name).suffix or os.sep in name) and name not in SCENARIO_OF_ID
        try:
            scenario = load_scenario(path.parent / name if beside else name, overrides)
        except IdnError as error:
            raise IdnError(f"{path}: {error}") from None
        settings = {key: overrides[key] for key in overridden if key in overrides}
        for seed in grid.seeds:
            labels = {"scenario": name, **settings, "seed": seed}
            yield Cell(labels, tuple(RunSpec(scenario, agent, seed=seed, slots=grid.slots) for agent in agents))
