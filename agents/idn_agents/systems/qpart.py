"""QPART: bits per layer of the part of a network that a device runs, and where it is cut (arXiv 2506.23934).

A server sends a device the quantised head of a network, the device runs it and sends back what comes out, quantised as
well. How much a bit less costs in accuracy is nowhere public: here it is the noise of a uniform quantiser.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from idn_agents.systems.bits import MOST_STATES, Problem
from idn_agents.systems.frame import (
    Check,
    Claim,
    Decision,
    Formula,
    Infeasible,
    Measure,
    Measures,
    System,
    Tag,
    by_policy,
)
from idn_agents.systems.running.traces import read_column
from idn_gym.scenario.schema import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_FLOAT_BITS = 32

# MobileNetV1 of width 0.25 at 320 x 320, cut after its stem, its thirteen separable layers and its classifier: values
# of the weights, values that leave, million multiplications. Counted from the architecture (Howard et al., 2017).
_RATES = np.geomspace(0.01, 1e5, 60)  # Mbit/s over which the cut is watched
_INPUT = 307_200
_LAYERS = (
    (216, 204_800, 5.53),
    (200, 409_600, 5.12),
    (656, 204_800, 4.20),
    (1_312, 204_800, 8.40),
    (2_336, 102_400, 3.74),
    (4_672, 102_400, 7.48),
    (8_768, 51_200, 3.51),
    *[(17_536, 51_200, 7.01)] * 5,
    (33_920, 25_600, 3.39),
    (67_840, 25_600, 6.78),
    (257_000, 1_000, 0.26),
)

_Positive = Annotated[float, Field(gt=0.0, le=1e15)]
_NonNegative = Annotated[float, Field(ge=0.0, le=1e15)]
_Bits = Annotated[int, Field(ge=1, le=64)]


class State(Section):
    """Layers of a fixed cut, with the values that leave it as one of them."""

    sensitivities: list[_NonNegative] = Field(min_length=1, max_length=1000)
    sizes: list[_NonNegative] = Field(min_length=1, max_length=1000)
    budget: _Positive
    least: _Bits = 2
    most: _Bits = 16

    @model_validator(mode="after")
    def _consistent(self) -> State:
        if len(self.sizes) != len(self.sensitivities):
            raise ValueError(f"sizes: {len(self.sizes)} of them; must be as many as sensitivities")
        if self.least > self.most:
            raise ValueError(f"least: {self.least}; must be at most {self.most}, which most is")
        return self


class Settings(Section):
    """Speeds and weights of the comparison; all are this library's own choice."""

    degradation: _Positive = 1.0  # percent of accuracy that may be lost
    sensitivity: _Positive = 40.0  # percent per layer at 0 bits
    least: _Bits = 2
    most: _Bits = 16
    device_gflops: _Positive = 2.0
    server_gflops: _Positive = 200.0
    device_watts: _NonNegative = 2.0
    radio_watts: _NonNegative = 1.0
    joule_weight: _NonNegative = 0.2  # s per J
    server_weight: _NonNegative = 1.0  # s per s of the server
    mean_rate: _Positive = 20.0  # Mbit/s of the synthetic stream
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.least > self.most:
            raise ValueError(f"least: {self.least}; must be at most {self.most}, which most is")
        return self


@dataclass(frozen=True)
class Cut:
    """A head on the device, and what is sent for it."""

    layer: int  # layers on the device
    payload: float  # bits
    noise: float  # percent
    device_s: float
    server_s: float

    def seconds(self, rate: FloatArray) -> FloatArray:
        """(T,) of one inference at rates in Mbit/s."""
        return self.device_s + self.server_s + self.payload / (1e6 * rate)


class Qpart(System[Settings, State, FloatArray]):
    """Bits and cut per step; the stream is the rate between device and server in Mbit/s."""

    name = "qpart"
    title = "bits per layer and a cut"
    paper = "QPART, arXiv 2506.23934"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("objective", "O_1/F_dev + O_2/F_srv + payload/rate + energy + server cost", Tag.STATED),
        Formula("payload", "sum_{l<p} z_l b_l + z_x b_x, b in {2..16}, p = 0..L", Tag.STATED),
        Formula("degradation", "sum_l k_l 4^-b_l + k_x 4^-b_x <= Delta, a uniform quantiser's noise", Tag.OWN),
        Formula("relaxed bits of a cut", "b_l = log_4(k_l Z / (Delta z_l)), Z = sum z, clipped", Tag.DERIVED),
        Formula("rounding", "up, then bits taken back while the budget lets, largest layers first", Tag.DERIVED),
        Formula("layer table", "MobileNetV1 0.25 at 320 x 320, counted from its architecture", Tag.DERIVED),
        Formula("sensitivities, speeds, watts, weights", "this library's", Tag.OWN),
        Formula("gains", "payload -80 % at less than 1 % degradation", Tag.STATED),
    )
    measures = (
        Measure("cost", "mean cost s", ".4f"),
        Measure("seconds", "mean s", ".4f"),
        Measure("payload", "mean payload Mbit", ".3f"),
        Measure("degradation", "mean degradation %", ".3f"),
        Measure("cut", "mean layers on the device", ".2f"),
    )
    trade_off = ("payload", "cost")
    over_time = "cut"
    stream_format = (
        "the rate of each step in Mbit/s: a column rate; without a file, a log-normal process around the mean rate"
    )
    network = (
        "a chain of two: heads (cut, bits), then the tail of the cut; what does not fit is a cost of energy, and a "
        "head that is sent anew for each request"
    )

    def decide(self, state: State) -> Decision:
        """Bits of the greedy choice, the relaxation's bound, and the exact choice where it can be enumerated."""
        arrays = np.array(state.sensitivities), np.array(state.sizes)
        problem = Problem(*arrays, state.budget, state.least, state.most)
        bits, exact = problem.greedy(), problem.exact()
        found = None if exact is None else {"bits": _ints(exact), "payload": float(problem.sizes @ exact)}
        values = {"bits": _ints(bits), "payload": float(problem.sizes @ bits)}
        return Decision({**values, "continuous": float(problem.sizes @ problem.continuous()), "exact": found})

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) rates in Mbit/s."""
        if path is not None:
            return read_column(path, ("rate",), self.settings.segment, least=1e-9)
        rng = np.random.default_rng(self.settings.seed)
        state, states = rng.standard_normal(), []
        for step in rng.standard_normal(self.settings.steps):
            state = 0.95 * state + np.sqrt(1.0 - 0.95**2) * step
            states.append(state)
        return self.settings.mean_rate * np.exp(1.2 * np.array(states) - 0.72)

    def policies(self) -> Sequence[str]:
        """QPART, its exact twin, one number of bits for all layers, no quantisation, and no cut."""
        return ("qpart", "exact bits", "uniform bits", "float32", "server", "device")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """Means over the steps, the best cut of the policy in each."""
        cuts = self._cuts(policy)
        costs = np.stack([self._cost(cut, stream) for cut in cuts])
        best = costs.argmin(axis=0)

        def mean(values: list[float]) -> float:
            return float(np.array(values)[best].mean())

        values = {
            "cost": float(costs.min(axis=0).mean()),
            "seconds": float(np.stack([cut.seconds(stream) for cut in cuts])[best, np.arange(stream.size)].mean()),
            "payload": mean([cut.payload / 1e6 for cut in cuts]),
            "degradation": mean([cut.noise for cut in cuts]),
            "cut": mean([float(cut.layer) for cut in cuts]),
        }
        layers = np.array([float(cut.layer) for cut in cuts])[best]
        return Measures(policy, values, {"cut": layers})

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's two figures, and what rounding loses."""
        values = by_policy(results)
        ours_cuts = self._cuts("qpart")
        share = _share(ours_cuts, self._cuts("float32"))
        noise = max(cut.noise for cut in ours_cuts)
        ours, exact = values["qpart"]["cost"], values["exact bits"]["cost"]
        assert ours is not None
        assert exact is not None
        layers = self._layers(ours_cuts, _RATES)
        return [
            Claim.decided(
                "80 % less payload than float32 at a degradation below 1 %",
                "abstract",
                Tag.STATED,
                share <= 0.2 and noise < 1.0,
                f"{100.0 * (1.0 - share):.1f} % less and {noise:.4f} % at the worst cuts, with this library's "
                "sensitivities and noise",
            ),
            Claim.decided(
                "the cut moves to the server as the rate rises",
                "this library's layer table",
                Tag.OWN,
                _falls(layers),
                f"{layers[0]} layers on the device at {_RATES[0]:g} Mbit/s, {layers[-1]} at {_RATES[-1]:g} Mbit/s",
            ),
            Claim.decided(
                "rounding the relaxation costs less than 1 %",
                "this library",
                Tag.OWN,
                ours <= 1.01 * exact,
                f"{100.0 * (ours / exact - 1.0):.3f} % over exact bits",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Greedy against exact bits on sixty drawn instances, and the figures of the shipped layer table."""
        rng = np.random.default_rng(0)
        ratios, bounded = [], []
        for _ in range(60):
            layers = int(rng.integers(3, 6))
            arrays = rng.uniform(0.2, 3.0, layers), rng.uniform(0.5, 8.0, layers)
            problem = Problem(*arrays, float(10.0 ** rng.uniform(-2.0, -0.5)))
            exact = problem.exact()
            assert exact is not None
            least = float(problem.sizes @ exact)
            ratios.append(float(problem.sizes @ problem.greedy()) / least)
            bounded.append(float(problem.sizes @ problem.continuous()) <= least + 1e-9)
        where = "of greedy over exact payload, 60 instances"
        yield Check.near(f"mean {where}", 1.006, float(np.mean(ratios)), 0.0005, _GOLDEN)
        yield Check.near(f"largest {where}", 1.085, max(ratios), 0.0005, _GOLDEN)
        yield Check.equal("instances that greedy solves exactly", 48, sum(one < 1.0 + 1e-12 for one in ratios), _GOLDEN)
        yield Check.equal("the relaxation is at most the exact payload", True, all(bounded), _GOLDEN)
        made = Qpart()
        cuts = made._cuts("qpart")
        share = _share(cuts, made._cuts("float32"))
        yield Check.within("payload for 1 % over float32, any cut", None, 0.2, share, "[S] abstract: -80 %")
        falls = _falls(made._layers(cuts, _RATES))
        yield Check.equal("layers on the device fall with the rate", True, falls, "[L] this library's table")

    def _cuts(self, policy: str) -> list[Cut]:
        """Every cut that a policy may choose, with its bits."""
        given = self.settings
        last = len(_LAYERS)
        heads = {"server": [0], "device": [last]}.get(policy, list(range(last + 1)))
        return [self._cut(policy, head, given) for head in heads]

    def _cut(self, policy: str, head: int, given: Settings) -> Cut:
        weights, outputs, work = (np.array(column) for column in zip(*_LAYERS, strict=True))
        leaves = _INPUT if head == 0 else outputs[head - 1]
        sizes = np.append(weights[:head], leaves).astype(float)
        problem = Problem(np.full(head + 1, given.sensitivity), sizes, given.degradation, given.least, given.most)
        bits: FloatArray | None = problem.greedy()
        if policy == "float32":
            bits = np.full(head + 1, float(_FLOAT_BITS))
        elif policy == "uniform bits":
            every = [np.full(head + 1, float(each)) for each in range(given.least, given.most + 1)]
            bits = next(each for each in every if problem.noise(each) <= problem.budget)
        elif policy == "exact bits":
            bits = problem.exact()
        if bits is None:
            raise Infeasible(f"exact bits of {head + 1} layers: more than {MOST_STATES:,} choices to compare")
        device, server = 1e-3 * work[:head].sum() / given.device_gflops, 1e-3 * work[head:].sum() / given.server_gflops
        return Cut(head, float(sizes @ bits), problem.noise(bits), float(device), float(server))

    def _cost(self, cut: Cut, rate: FloatArray) -> FloatArray:
        given = self.settings
        joules = given.device_watts * cut.device_s + given.radio_watts * cut.payload / (1e6 * rate)
        return cut.seconds(rate) + given.joule_weight * joules + given.server_weight * cut.server_s

    def _layers(self, cuts: Sequence[Cut], rates: FloatArray) -> list[int]:
        """Layers on the device that are best at each rate."""
        best = np.stack([self._cost(cut, rates) for cut in cuts]).argmin(axis=0)
        return [cuts[index].layer for index in best]


def _share(cuts: Sequence[Cut], wholes: Sequence[Cut]) -> float:
    """Payload over that of the same cut in floats, at the worst cut."""
    return max(cut.payload / whole.payload for cut, whole in zip(cuts, wholes, strict=True))


def _falls(layers: Sequence[int]) -> bool:
    return list(layers) == sorted(layers, reverse=True) and layers[0] > layers[-1]


def _ints(bits: FloatArray) -> list[int]:
    return [int(each) for each in bits]
