"""QPART: where to cut a network between device and server, and how many bits each layer gets (arXiv 2506.23934)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from idn_agents.systems.bits import Problem
from idn_agents.systems.frame import (
    Check,
    Claim,
    Decision,
    Formula,
    Measure,
    Measures,
    System,
    Tag,
    by_policy,
)
from idn_agents.systems.running.traces import read_column
from idn_gym.errors import IdnError
from idn_gym.library import splits
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"

_Number = Annotated[float, Field(ge=0.0, le=1e12)]
_Size = Annotated[float, Field(gt=0.0, le=1e12)]
_Bits = Annotated[int, Field(ge=1, le=32)]


class State(Section):
    """What is sent at a fixed cut: sensitivities k and sizes z of its tensors, and the budget of noise."""

    sensitivities: Annotated[list[_Number], Field(min_length=1, max_length=1000)]
    sizes: Annotated[list[_Size], Field(min_length=1, max_length=1000)]
    budget: Annotated[float, Field(gt=0.0, le=1e12)]
    least: _Bits = 2
    most: _Bits = 16

    @model_validator(mode="after")
    def _consistent(self) -> State:
        if len(self.sensitivities) != len(self.sizes):
            raise ValueError(f"{len(self.sensitivities)} sensitivities and {len(self.sizes)} sizes; must be as many")
        if self.least > self.most:
            raise ValueError(f"least {self.least} and most {self.most}; least must be at most most")
        return self


class Layer(Section):
    """A layer: multiplications, weights and outputs, and how sensitive accuracy is to the noise of either."""

    name: str
    mega_macs: _Number
    weights: _Size
    outputs: _Size
    weight_sensitivity: _Number = 1.0
    output_sensitivity: _Number = 1.0


class Settings(Section):
    """The network, the machines and the weights of what they cost; all are this library's choice."""

    layers: Annotated[list[Layer], Field(min_length=1, max_length=100)] = Field(
        default_factory=lambda: [Layer(**asdict(layer)) for layer in splits.MOBILE_LAYERS]
    )
    inputs: _Size = splits.MOBILE_INPUTS
    input_sensitivity: _Number = 1.0
    degradation: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01  # budget of noise
    least: _Bits = 2
    most: _Bits = 16
    reuse: Annotated[float, Field(ge=1.0, le=1e9)] = 1000.0  # requests that a download of weights is for
    device_gmacs: _Size = 2.0  # per second
    server_gmacs: _Size = 500.0
    device_watts: _Number = 2.0
    radio_watts: _Number = 1.0
    energy_weight: _Number = 0.1  # s per J
    server_weight: _Number = 1.0  # s per s of the server
    segment: str | None = None


class Qpart(System[Settings, State, FloatArray]):
    """Cut and bits at each rate of the link; the stream is rates in Mbit/s."""

    name = "qpart"
    title = "a cut of a network and bits per layer"
    paper = "QPART, arXiv 2506.23934"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula(
            "objective",
            "O_1/F_dev + O_2/F_srv + (sum_{l<p} z_l b_l + z_x b_x)/rate + energy + server cost",
            Tag.DERIVED,
        ),
        Formula("degradation", "sum_l k_l 4^-b_l + k_x 4^-b_x <= Delta, uniform quantisers' noise", Tag.OWN),
        Formula("bits at a fixed cut", "b_l = log4(k_l Z / (Delta z_l)), Z = sum z, over real numbers", Tag.DERIVED),
        Formula("heuristic", "clip, round up, take bits back, the largest first", Tag.DERIVED),
        Formula("cut", "p = 0 .. L by enumeration", Tag.DERIVED),
        Formula("gains", "payload -80 %, degradation < 1 %", Tag.STATED),
        Formula("heuristic over exact, 60 instances", "mean 1.006, at most 1.085, exact in 48", Tag.COMPUTED),
        Formula(
            "layers, sensitivities, machines",
            "a mobile image classifier; weights are sent once per 1,000 requests",
            Tag.OWN,
        ),
    )
    measures = (
        Measure("objective", "objective s", ".4f"),
        Measure("payload_kb", "payload KB", ".1f"),
        Measure("cut", "mean cut", ".2f"),
        Measure("noise", "largest noise", ".4f"),
        Measure("gap", "gap to exact %", ".2f"),
    )
    trade_off = ("payload_kb", "objective")
    over_time = ("cut", "layers on the device")
    stream_format = (
        "the link's rate of each step in Mbit/s: a column rate or bandwidth_mbps; without a file, 40 rates from 0.1 to "
        "10,000 Mbit/s"
    )
    network = (
        "scenario quantised-split, agent qpart: chains of two stages, a head (cut, bits) and then its tail, with "
        "output_mb = z_x b_x and link bandwidth (idn_gym.library.splits); what does not fit is the download of the "
        "head's weights"
    )

    def decide(self, state: State) -> Decision:
        """Bits at a fixed cut."""
        problem = Problem(
            np.array(state.sensitivities), np.array(state.sizes), state.budget, least=state.least, most=state.most
        )
        problem.refuse_infeasible()
        bits, exact = problem.greedy(), problem.exact()
        found = None if exact is None else {"bits": exact.tolist(), "payload": float(problem.sizes @ exact)}
        return Decision(
            {
                "bits": bits.tolist(),
                "payload": float(problem.sizes @ bits),
                "continuous": float(problem.sizes @ problem.continuous()),
                "exact": found,
            }
        )

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) rates in Mbit/s."""
        if path is None:
            return np.geomspace(0.1, 1e4, 40)
        rates = read_column(path, ("rate", "bandwidth_mbps"), self.settings.segment)
        if (rates == 0.0).any():
            raise IdnError(f"{path}: rate of step {int(np.argmin(rates))}: 0; must be above 0")
        return rates

    def policies(self) -> Sequence[str]:
        """QPART, the exact optimum, numbers as they are, and either end of the cut."""
        return ("qpart", "exact", "float32", "device only", "server only")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """The best cut at each rate; payload per request, weights shared out over the requests they are sent for."""
        given = self.settings
        cuts = range(len(given.layers) + 1)
        payload = np.array([self._payload(policy, cut) for cut in cuts])  # bits
        exact = np.array([self._payload("exact", cut) for cut in cuts])
        allowed = {"device only": [len(given.layers)], "server only": [0]}.get(policy, list(cuts))
        costs = np.array([[self._cost(cut, payload[cut], rate) for cut in cuts] for rate in stream])
        best = np.array(allowed)[np.argmin(costs[:, allowed], axis=1)]
        least = np.array([[self._cost(cut, exact[cut], rate) for cut in cuts] for rate in stream]).min(axis=1)
        cost = costs[np.arange(len(stream)), best]
        noises = [0.0 if policy == "float32" else self._noise(policy, int(cut)) for cut in set(best.tolist())]
        values = {
            "objective": float(cost.mean()),
            "payload_kb": float(payload[best].mean() / 8e3),
            "cut": float(best.mean()),
            "noise": max(noises),
            "gap": float(100.0 * (cost / least - 1.0).max()),
        }
        return Measures(
            policy, values, {"rate": stream, "cut": best.astype(np.float64), "payload_kb": payload[best] / 8e3}
        )

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's two figures, and where the cut goes as the rate rises."""
        values, given = by_policy(results), self.settings
        cuts = range(len(given.layers) + 1)
        shares = [self._payload("qpart", cut) / self._payload("float32", cut) for cut in cuts]
        ours = next(result for result in results if result.policy == "qpart")
        order = np.argsort(ours.steps["rate"], kind="stable")
        moves = np.diff(ours.steps["cut"][order])
        source = "abstract of arXiv 2506.23934"
        noise = float(values["qpart"]["noise"] or 0.0)
        return [
            Claim.decided(
                "payload 80 % lower",
                source,
                Tag.STATED,
                max(shares) <= 0.2,
                f"{1.0 - max(shares):.0%} lower at least, at any cut, against float32",
            ),
            Claim.decided(
                "degradation below 1 %",
                source,
                Tag.STATED,
                noise <= 0.01 * (1.0 + 1e-9),
                f"noise {noise:.4f} in the model of degradation, which is this library's; nothing was trained",
            ),
            Claim.decided(
                "the cut moves to the server as the rate rises",
                "this library",
                Tag.DERIVED,
                bool((moves <= 0).all()),
                f"from {ours.steps['cut'][order][0]:g} layers on the device to {ours.steps['cut'][order][-1]:g}",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """The heuristic against the optimum on 60 instances, a toy, and the layers that are shipped."""
        rng = np.random.default_rng(0)
        ratios, below = list[float](), 0
        for _ in range(60):
            count = int(rng.integers(3, 6))
            problem = Problem(rng.uniform(0.2, 3, count), rng.uniform(0.5, 8, count), 10 ** rng.uniform(-2, -0.5))
            best = problem.exact()
            assert best is not None
            optimum = float(problem.sizes @ best)
            ratios.append(float(problem.sizes @ problem.greedy()) / optimum)
            below += int(problem.sizes @ problem.continuous() <= optimum + 1e-9)
        yield Check.near("heuristic / exact, mean of 60 instances", 1.0062, float(np.mean(ratios)), 5e-5, _GOLDEN)
        yield Check.near("heuristic / exact, largest", 1.0854, max(ratios), 5e-5, _GOLDEN)
        yield Check.equal(
            "instances in which the heuristic is exact", 48, int(np.sum(np.array(ratios) < 1 + 1e-12)), _GOLDEN
        )
        yield Check.equal("instances in which the continuous optimum is no higher", 60, below, _GOLDEN)
        for budget, golden in ((0.01, [91.1, 94.0, 93.0]), (0.05, [66.7, 70.0, 69.0]), (0.2, [45.9, 49.0, 48.0])):
            toy = Problem(np.ones(5), np.array([1.0, 2.0, 4.0, 6.0, 8.0]), budget)
            best = toy.exact()
            assert best is not None
            got = [round(float(toy.sizes @ bits), 1) for bits in (toy.continuous(), toy.greedy(), best)]
            yield Check.equal(f"toy of budget {budget:g}: continuous, heuristic, exact", golden, got, _GOLDEN)
        made = Qpart()
        for claim in made.claims([made.evaluate(policy, made.stream()) for policy in made.policies()]):
            yield Check.equal(
                f"{claim.text}, at the shipped layers", "holds", claim.outcome.value, "[S] or [D], on [L] layers"
            )

    def head(self, name: str, cut: int) -> splits.Head:
        """What it puts on a device at a cut, for a catalog of heads and tails; see `idn_gym.library.splits`."""
        return splits.Head(name, tuple(self._bits("qpart", cut)[1].astype(int).tolist()))

    def _bits(self, policy: str, cut: int) -> tuple[Problem, FloatArray]:
        """What is sent at a cut, and the bits that it gets."""
        given = self.settings
        head = given.layers[:cut]
        outputs, sensitivity = (
            (head[-1].outputs, head[-1].output_sensitivity) if head else (given.inputs, given.input_sensitivity)
        )
        problem = Problem(
            np.array([*(layer.weight_sensitivity for layer in head), sensitivity]),
            np.array([*(layer.weights / given.reuse for layer in head), outputs]),
            given.degradation,
            given.least,
            given.most,
        )
        if policy == "float32":
            return problem, np.full(len(problem.sizes), float(splits.FLOAT_BITS))
        problem.refuse_infeasible()
        exact = problem.exact() if policy == "exact" else None
        return problem, (problem.greedy() if exact is None else exact).astype(np.float64)

    def _payload(self, policy: str, cut: int) -> float:
        """Bits per request."""
        problem, bits = self._bits(policy, cut)
        return float(problem.sizes @ bits)

    def _noise(self, policy: str, cut: int) -> float:
        problem, bits = self._bits(policy, cut)
        return problem.noise(bits)

    def _cost(self, cut: int, payload: float, rate: float) -> float:
        """Seconds, with energy and the server's time in seconds."""
        given = self.settings
        device = sum(layer.mega_macs for layer in given.layers[:cut]) / given.device_gmacs / 1e3
        server = sum(layer.mega_macs for layer in given.layers[cut:]) / given.server_gmacs / 1e3
        transfer = payload / rate / 1e6
        energy = given.device_watts * device + given.radio_watts * transfer
        return device + server + transfer + given.energy_weight * energy + given.server_weight * server
