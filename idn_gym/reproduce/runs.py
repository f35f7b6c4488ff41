"""The completed runs of a figure, read from their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym.experiment.metrics import SlotTable, gain_so_far
from idn_gym.experiment.record_tables import read_fractional, read_slots
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.experiment.sweep import Cell, Row
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario
from idn_gym.typing import FloatArray


@dataclass(frozen=True)
class Budget:
    """How long each run is, over how many seeds, and on which scenarios where a figure has several."""

    slots: int
    seeds: int = 5
    scenarios: tuple[str, ...] = ()


def cells_of(
    scenario: str | Scenario,
    agents: Sequence[str],
    budget: Budget,
    overrides: Mapping[str, Any] | None = None,
    **labels: Any,
) -> list[Cell]:
    """One cell per seed of a packaged scenario with overrides; the labels default to the overrides."""
    resolved = load_scenario(scenario, overrides or {}) if isinstance(scenario, str) else scenario
    specs = [AgentSpec.parse(agent) for agent in agents]
    named = {"scenario": resolved.name, **(labels or dict(overrides or {}))}
    return [
        Cell({**named, "seed": seed}, tuple(RunSpec(resolved, spec, seed=seed, slots=budget.slots) for spec in specs))
        for seed in range(budget.seeds)
    ]


@dataclass(frozen=True)
class Runs:
    """What a sweep left: a row per run, and the records behind it."""

    folder: Path
    cells: tuple[Cell, ...]
    rows: tuple[Row, ...]

    def values(self, column: str, agent: str, **labels: Any) -> FloatArray:
        """(seeds,) a column of the table."""
        return np.array([row[column] for row in self.rows if row["agent"] == _canonical(agent) and _has(row, labels)])

    def of_bound(self, agent: str, column: str = "gain", **labels: Any) -> FloatArray:
        """(seeds,) total gain, in parts of what no static allocation exceeds."""
        return self.values(column, agent, **labels) / self.values("static_bound", agent, **labels)

    def tables(self, agent: str, **labels: Any) -> list[SlotTable]:
        """The per-slot table of each seed."""
        return [read_slots(folder / "slots.csv") for folder in self._folders(agent, labels)]

    def per_slot(self, column: str, agent: str, **labels: Any) -> FloatArray:
        """(seeds, T) a column of the per-slot tables."""
        return np.stack([table.columns()[column] for table in self.tables(agent, **labels)])

    def gain_per_request(self, agent: str, column: str = "gain", **labels: Any) -> FloatArray:
        """(seeds, T) ms per request in each slot."""
        tables = self.tables(agent, **labels)
        return np.stack([table.columns()[column] / table.requests for table in tables])

    def gain_so_far(self, agent: str, column: str = "gain", **labels: Any) -> FloatArray:
        """(seeds, T) ms per request of the slots so far, of total gain and total requests, as bounds are."""
        tables = self.tables(agent, **labels)
        return np.stack([gain_so_far(table.columns()[column], table.requests) for table in tables])

    def fractional(self, agent: str, **labels: Any) -> FloatArray:
        """(seeds, P) the average state over time."""
        network = self.network(**labels)
        states = [read_fractional(network, folder / "fractional.json") for folder in self._folders(agent, labels)]
        return np.array(states)

    def network(self, **labels: Any) -> Network:
        """The network of the cells with these labels."""
        return self._networks(next(self._matching(labels)))

    def levels(self, label: str) -> list[Any]:
        """What a label was swept over, in order."""
        return list(dict.fromkeys(cell.labels[label] for cell in self.cells if label in cell.labels))

    @cached_property
    def slots(self) -> int:
        """T of the longest stream."""
        return max(row["slots"] for row in self.rows)

    @property
    def seeds(self) -> list[int]:
        """Seeds of the cells."""
        return self.levels("seed")

    def _folders(self, agent: str, labels: Mapping[str, Any]) -> list[Path]:
        name = AgentSpec.parse(agent).folder
        return [self.folder / cell.folder / name for cell in self._matching(labels)]

    def _matching(self, labels: Mapping[str, Any]) -> Iterator[Cell]:
        return (cell for cell in self.cells if _has(cell.labels, labels))

    @staticmethod
    def _networks(cell: Cell) -> Network:
        return Network.compile(cell.runs[0].scenario)


def last_part(values: FloatArray, part: float) -> FloatArray:
    """(seeds,) mean over the last part of the slots of (seeds, T) values."""
    return values[:, int(values.shape[1] * (1.0 - part)) :].mean(axis=1)


def _canonical(agent: str) -> str:
    return str(AgentSpec.parse(agent))


def _has(values: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    return all(values.get(key) == value for key, value in labels.items())
