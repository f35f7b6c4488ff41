"""HEET: one number for how heterogeneous machines are for tasks, and the makespan it predicts (arXiv 2312.03235)."""

from __future__ import annotations

import csv
import heapq
import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from idn_agents.systems.frame import Check, Claim, Decision, Formula, Measure, Measures, System, Tag, by_policy
from idn_gym.common.files import read_text
from idn_gym.common.text import shown
from idn_gym.errors import IdnError
from idn_gym.model import heterogeneity
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_TASKS = 1000  # of a measured configuration

# The twin: ms of four kinds of task on three kinds of machine, medians over 227 AWS configurations, and up to so many
# machines of a kind. Source: hpcclab/heterogeneity_measure, analysis/results/eets.
_MACHINES = ("t2_large", "c5_2xlarge", "g4dn_xlarge")
_MEDIANS = (
    ("image_classification", (81.4, 41.1, 16.3)),
    ("object_detection", (71.8, 74.9, 38.6)),
    ("question_answering", (33.4, 14.7, 3.7)),
    ("speech_recognition", (579.4, 197.6, 22.5)),
)
_MOST_MACHINES = 3
_SPREADS = (0.0, 0.5, 1.0)  # of the logarithms of times, in mixes of the same score

_Duration = Annotated[float, Field(gt=0.0, le=1e12)]


class State(Section):
    """Times of each kind of task (rows) on each machine (columns), in any unit; and how many tasks there are."""

    times: Annotated[
        list[Annotated[list[_Duration], Field(min_length=1, max_length=10_000)]], Field(min_length=1, max_length=10_000)
    ]
    tasks: Annotated[int, Field(ge=0, le=10**9)] | None = None
    last_arrival: Annotated[float, Field(ge=0.0, le=1e15)] = 0.0


class Settings(Section):
    """What the synthetic configurations are, and how their tasks are scheduled: this library's choice."""

    mixes: Literal["aws-like", "same-score"] = "aws-like"
    scheduler: Literal["first-free", "first-done"] = "first-free"
    tasks: Annotated[int, Field(ge=1, le=100_000)] = _TASKS
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0


@dataclass(frozen=True)
class Configuration:
    """Machines, the times of tasks on them, and the makespan that was measured or simulated."""

    name: str
    times: FloatArray  # (I, J) ms
    tasks: int
    makespan: float  # ms


@dataclass(frozen=True)
class Problem:
    """A matrix of times (I, J): nothing is chosen, one number describes it."""

    times: FloatArray

    def heet(self) -> float:
        """HEET; see `idn_gym.model.heterogeneity.heet`."""
        return heterogeneity.heet(self.times)

    def score(self, mean: str) -> float:
        """HEET, or another mean of all times."""
        match mean:
            case "arithmetic":
                return float(self.times.mean())
            case "geometric":
                return float(np.exp(np.log(self.times).mean()))
            case "harmonic":
                return float(1.0 / (1.0 / self.times).mean())
        return self.heet()

    def makespan(self, mean: str, tasks: int, last_arrival: float = 0.0) -> float:
        """What a mean predicts: max(ceil(n / J) mean, last arrival)."""
        return max(math.ceil(tasks / self.times.shape[1]) * self.score(mean), last_arrival)


class Heet(System[Settings, State, Sequence[Configuration]]):
    """Predicted against measured makespans; the stream is a table of configurations."""

    name = "heet"
    title = "a measure of heterogeneity"
    paper = "HEET, arXiv 2312.03235"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("HEET", "1/I sum_i [ J / sum_j 1/e_ij ], equal to the authors' procedure", Tag.DERIVED),
        Formula("S-HEET", "HEET / J", Tag.VERIFIED),
        Formula("makespan", "max(ceil(n/J) HEET, last arrival)", Tag.VERIFIED),
        Formula("accuracy", "predicts makespans with 84 % accuracy", Tag.STATED),
        Formula("error over 227 AWS configurations", "HEET 16.02 %, geometric mean 13.97 %", Tag.COMPUTED),
        Formula("synthetic makespans", "1,000 tasks in random order, each to the first free machine", Tag.OWN),
    )
    measures = (
        Measure("error", "mean error %", ".2f"),
        Measure("bias", "mean signed error %", "+.2f"),
        Measure("correlation", "correlation", ".3f"),
    )
    trade_off = ("bias", "error")
    over_time = ("error", "error of the makespan %")
    stream_format = (
        "a configuration per row: n_MACHINE columns with the machines of each kind, true_makespan_ms, and a column "
        "eet_TASK_MACHINE per kind of task and machine in ms, empty where there is none; without a file, mixes of "
        "the AWS medians (mixes=aws-like) or of one score (mixes=same-score), with simulated makespans"
    )
    network = (
        "a measure of any scenario, e_ij = 1000 / throughput of the fastest model of task i at node j: idn-gym show "
        "SCENARIO --heet; it places nothing, so no agent comes of it"
    )

    def decide(self, state: State) -> Decision:
        """HEET, HEET per machine, and the makespan if it is said how many tasks there are."""
        widths = {len(row) for row in state.times}
        if len(widths) > 1:
            raise IdnError(f"times: rows of {min(widths)} and {max(widths)} machines; all must have the same")
        problem = Problem(np.array(state.times))
        heet = problem.heet()
        makespan = None if state.tasks is None else problem.makespan("HEET", state.tasks, state.last_arrival)
        return Decision({"heet": heet, "per_machine": heet / problem.times.shape[1], "makespan": makespan})

    def stream(self, path: Path | None = None) -> Sequence[Configuration]:
        """Configurations."""
        if path is not None:
            return read_configurations(path)
        rng = np.random.default_rng(self.settings.seed)
        made = _same_score(rng) if self.settings.mixes == "same-score" else _aws_like(rng)
        count, scheduler = self.settings.tasks, self.settings.scheduler
        return [Configuration(name, times, count, simulated(times, count, scheduler, rng)) for name, times in made]

    def policies(self) -> Sequence[str]:
        """HEET and the plain means of all times."""
        return ("HEET", "geometric", "harmonic", "arithmetic")

    def evaluate(self, policy: str, stream: Sequence[Configuration]) -> Measures:
        """Relative errors of the predicted makespans."""
        truth = np.array([each.makespan for each in stream])
        said = np.array([Problem(each.times).makespan(policy, each.tasks) for each in stream])
        errors = 100.0 * (said - truth) / truth
        varied = len(stream) > 1 and truth.std() > 0.0 and said.std() > 0.0
        values = {
            "error": float(np.abs(errors).mean()),
            "bias": float(errors.mean()),
            "correlation": float(np.corrcoef(said, truth)[0, 1]) if varied else None,
        }
        return Measures(policy, values, {"error": errors, "makespan_ms": truth}, [each.name for each in stream])

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's accuracy, and whether HEET is the best of the means."""
        errors = {policy: float(values["error"] or 0.0) for policy, values in by_policy(results).items()}
        best = min(errors, key=lambda policy: errors[policy])
        largest = np.abs(results[0].steps["error"])
        worst = f"largest {largest.max():.1f} % ({results[0].labels[int(largest.argmax())]})"
        return [
            Claim.decided(
                "makespans predicted with 84 % accuracy",
                "abstract of arXiv 2312.03235",
                Tag.STATED,
                round(100.0 - errors["HEET"]) >= 84,
                f"mean error {errors['HEET']:.2f} % over {len(largest)} configurations, {worst}",
            ),
            Claim.decided(
                "closer than the geometric, harmonic and arithmetic mean",
                "this library's comparison",
                Tag.COMPUTED,
                best == "HEET",
                f"{best} is closest: {errors[best]:.2f} %, HEET {errors['HEET']:.2f} %",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """What follows from the formula, and errors over the AWS configurations."""
        equal = Problem(np.full((3, 4), 7.0))
        yield Check.near("HEET of equal times of 7", 7.0, equal.heet(), 1e-12, "[D]")
        pair = Problem(np.array([[1.0, 3.0], [2.0, 2.0]]))
        yield Check.near("HEET of times 1 3 and 2 2", 1.75, pair.heet(), 1e-12, "[D] (2 / (1 + 1/3) + 2) / 2")
        yield Check.near("makespan of 5 tasks of them", 5.25, pair.makespan("HEET", 5), 1e-12, "[D] ceil(5/2) 1.75")
        table = data / "heet_aws_configs.csv" if data is not None else None
        if table is None or not table.exists():
            return
        stream = read_configurations(table)
        yield Check.equal("AWS configurations", 227, len(stream), _GOLDEN)
        for policy, error in (("HEET", 16.02), ("geometric", 13.97), ("harmonic", 55.39), ("arithmetic", 90.11)):
            values = self.evaluate(policy, stream).values
            yield Check.near(f"makespan error % of {policy}, AWS", error, values["error"] or 0.0, 0.005, _GOLDEN)
        got = self.evaluate("HEET", stream).values["correlation"]
        yield Check.near("correlation of HEET's makespans, AWS", 0.977, got or 0.0, 0.0005, _GOLDEN)


def simulated(times: FloatArray, tasks: int, scheduler: str, rng: np.random.Generator) -> float:
    """When the last of so many tasks, of kinds in random order, is done.

    Parameters
    ----------
    times : (I, J).
    scheduler : each task goes to the machine that is free first, or, ``first-done``, to that which has it done first.
    """
    kinds = rng.integers(len(times), size=tasks)
    if scheduler == "first-done":
        done = np.zeros(times.shape[1])
        for kind in kinds:
            after = done + times[kind]
            machine = int(np.argmin(after))
            done[machine] = after[machine]
        return float(done.max())
    free = [(0.0, machine) for machine in range(times.shape[1])]
    last = 0.0
    for kind in kinds:
        now, machine = free[0]
        last = max(last, now + float(times[kind, machine]))
        heapq.heapreplace(free, (now + float(times[kind, machine]), machine))
    return last


def read_configurations(path: Path) -> Sequence[Configuration]:
    """Configurations of a table, of 1,000 tasks each; the format is `Heet.stream_format`.

    Raises
    ------
    IdnError
        Naming the row and the column that are not as they must be.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows:
        raise IdnError(f"{path}: empty; must have a header and a row per configuration")
    header = list(rows[0])
    machines = [name.removeprefix("n_") for name in header if name.startswith("n_")]
    columns: dict[str, dict[str, str]] = {}
    for name in header:
        plain = re.sub(r"\W", "_", name)
        machine = next((each for each in machines if plain.endswith(f"_{each}")), None)
        if plain.startswith("eet_") and machine is not None:
            columns.setdefault(plain[len("eet_") : -len(machine) - 1], {})[machine] = name
    if not machines or not columns or "true_makespan_ms" not in header:
        raise IdnError(f"{path}: needs columns n_MACHINE, eet_TASK_MACHINE and true_makespan_ms")
    found = []
    for n, row in enumerate(rows, 1):
        counts = {machine: _count(path, n, f"n_{machine}", row[f"n_{machine}"]) for machine in machines}
        if not any(counts.values()):
            raise IdnError(f"{path}: row {n}: no machine; must have one at least")
        times = [
            [_time(path, n, named.get(machine), row) for machine, count in counts.items() for _ in range(count)]
            for named in columns.values()
        ]
        name = " ".join(f"{count} {machine}" for machine, count in counts.items() if count)
        found.append(Configuration(name, np.array(times), _TASKS, _time(path, n, "true_makespan_ms", row)))
    return found


def _count(path: Path, row: int, column: str, value: str | None) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value or ""):
        raise IdnError(f"{path}: row {row}: {column}: {shown(value)}; must be a whole number below 10,000")
    return int(value or 0)


def _time(path: Path, row: int, column: str | None, values: Mapping[str, str | None]) -> float:
    value = values[column] if column is not None else None
    try:
        time = float(value or "")
    except ValueError:
        time = math.nan
    if not (math.isfinite(time) and time > 0.0):
        raise IdnError(f"{path}: row {row}: {column}: {shown(value)}; must be a number above 0")
    return time


def _aws_like(rng: np.random.Generator) -> list[tuple[str, FloatArray]]:
    """All mixes of up to three machines of each kind, with a tenth of variation of each kind's times."""
    medians = np.array([times for _, times in _MEDIANS])
    found = []
    for counts in itertools.product(range(_MOST_MACHINES + 1), repeat=len(_MACHINES)):
        if any(counts):
            times = medians * np.exp(0.1 * rng.standard_normal(medians.shape))
            name = " ".join(f"{n} {machine}" for n, machine in zip(counts, _MACHINES, strict=True) if n)
            found.append((name, np.repeat(times, counts, axis=1)))
    return found


def _same_score(rng: np.random.Generator) -> list[tuple[str, FloatArray]]:
    """Mixes of 6 machines and 4 kinds of task that differ in what varies, tasks, machines or pairs; HEET is 10 ms."""
    found = []
    for tasks, machines, pairs in itertools.product(_SPREADS, repeat=3):
        logarithms = tasks * rng.standard_normal((4, 1)) + machines * rng.standard_normal((1, 6))
        times = np.exp(logarithms + pairs * rng.standard_normal((4, 6)))
        name = f"tasks {tasks:g}, machines {machines:g}, pairs {pairs:g}"
        found.append((name, times * 10.0 / Problem(times).heet()))
    return found
