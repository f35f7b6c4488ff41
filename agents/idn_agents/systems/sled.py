"""SLED: speculative decoding between devices that draft and a server that verifies (arXiv 2506.09397).

A device drafts k tokens, the server verifies them at once; each is accepted with probability a, up to the first that is
not, which the server puts right. The model is the textbook's (Leviathan et al., 2023), not the paper's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from idn_agents.systems.frame import Check, Claim, Decision, Formula, Measure, Measures, System, Tag, by_policy
from idn_agents.systems.running.traces import read_column
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_PAGES = "the authors' pages"
_TWIN = (5000, 211.1, 162.9)  # requests; mean and deviation of tokens as in AzureLLMInferenceTrace_conv (CC-BY-4.0)

_Time = Annotated[float, Field(ge=0.0, le=1e9)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Length = Annotated[int, Field(ge=0, le=1000)]


class State(Section):
    """One device and the server it talks to."""

    acceptance: _Share
    draft_ms: _Time  # of one token
    rtt_ms: _Time
    verify_ms: Annotated[float, Field(gt=0.0, le=1e9)]
    largest: _Length = 8
    wait_ms: _Time = 0.0  # at the server, for others of the batch


class DeviceClass(Section):
    """Devices that draft alike."""

    name: str
    acceptance: _Share
    draft_ms: _Time
    rtt_ms: _Time


class Settings(Section):
    """Devices, server and stream; all are this library's own choice."""

    devices: list[DeviceClass] = Field(
        default=[
            DeviceClass(name="phone", acceptance=0.6, draft_ms=20.0, rtt_ms=40.0),
            DeviceClass(name="laptop", acceptance=0.7, draft_ms=12.0, rtt_ms=20.0),
            DeviceClass(name="far", acceptance=0.7, draft_ms=12.0, rtt_ms=160.0),
        ],
        min_length=1,
        max_length=100,
    )
    verify_ms: Annotated[float, Field(gt=0.0, le=1e9)] = 30.0
    wait_ms: _Time = 0.0
    batch: Annotated[int, Field(ge=1, le=10_000)] = 8
    token_rate: Annotated[float, Field(gt=0.0, le=1e6)] = 5.0  # tokens/s that a device wants
    largest: _Length = 8
    fixed: _Length = 4
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0


def tokens(acceptance: float, length: int) -> float:
    """Expected tokens of one verification of so many drafted ones: E(a, k) = 1 + a + ... + a^k."""
    return float(sum(acceptance**i for i in range(length + 1)))


@dataclass(frozen=True)
class Problem:
    """The draft length of one device: lengths 0 to the largest, tokens per second as the objective, no constraint."""

    state: State

    def cycle_ms(self, length: int) -> float:
        """Time from one draft to the next."""
        state = self.state
        return length * state.draft_ms + state.rtt_ms + state.wait_ms + state.verify_ms

    def rate(self, length: int) -> float:
        """Tokens per second."""
        return 1000.0 * tokens(self.state.acceptance, length) / self.cycle_ms(length)

    def best(self) -> int:
        """The length of the highest rate, the shortest of them; by enumeration."""
        return max(range(self.state.largest + 1), key=lambda length: (self.rate(length), -length))


class Sled(System[Settings, State, FloatArray]):
    """Draft lengths per class of devices; the stream is the tokens of each request."""

    name = "sled"
    title = "draft lengths of speculative decoding"
    paper = "SLED, arXiv 2506.09397"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("tokens per verification", "E(a, k) = (1 - a^(k+1)) / (1 - a)", Tag.DERIVED),
        Formula("cycle", "k t_draft + RTT + wait + t_verify", Tag.DERIVED),
        Formula("rate of a device", "E(a, k) / cycle; k = 0 is centralised serving", Tag.DERIVED),
        Formula("devices a server carries", "(B / t_verify) E(a, k) / token rate", Tag.DERIVED),
        Formula("gains", "2.2x throughput and 2.8x capacity, reported by the authors' pages", Tag.STATED),
        Formula("times, acceptances, device classes", "this library's; t_verify does not grow with k", Tag.OWN),
    )
    measures = (
        Measure("length", "mean draft length", ".2f"),
        Measure("rate", "tokens/s of a device", ".2f"),
        Measure("request_s", "s per request", ".3f"),
        Measure("devices", "devices per server", ".1f"),
    )
    trade_off = ("devices", "rate")
    stream_format = (
        "tokens of each request: a column GeneratedTokens or tokens, as in the Azure LLM inference traces; without a "
        "file, gamma-distributed counts of the mean and deviation of the conversation trace"
    )
    network = (
        "scenario draft-and-verify, agent sled: a draft and a verification that follows it, with 1 / E of the way's "
        "trips, a request per token; what does not fit is the wait for a batch within a slot"
    )

    def decide(self, state: State) -> Decision:
        """The best length and its tokens per verification and per second."""
        problem = Problem(state)
        length = problem.best()
        return Decision({"length": length, "tokens": tokens(state.acceptance, length), "rate": problem.rate(length)})

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) tokens of each request."""
        if path is not None:
            return read_column(path, ("GeneratedTokens", "tokens"), self.settings.segment)
        count, mean, deviation = _TWIN
        shape = (mean / deviation) ** 2
        drawn = np.random.default_rng(self.settings.seed).gamma(shape, mean / shape, count)
        return np.maximum(np.rint(drawn), 1.0)

    def policies(self) -> Sequence[str]:
        """SLED, one length for all devices, and centralised serving."""
        return ("sled", f"length {self.settings.fixed}", "centralised")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """Means over device classes, each of which sends the same requests."""
        given = self.settings
        how = given.model_dump(include={"verify_ms", "wait_ms", "largest"})
        lengths, rates, needs = [], [], []
        for device in given.devices:
            problem = Problem(State(**how, **device.model_dump(exclude={"name"})))
            length = {"sled": problem.best(), "centralised": 0}.get(policy, given.fixed)
            lengths.append(length)
            rates.append(problem.rate(length))
            needs.append(given.token_rate / tokens(device.acceptance, length))  # verifications/s
        per_token = np.mean(1.0 / np.array(rates))
        values = {
            "length": float(np.mean(lengths)),
            "rate": float(np.mean(rates)),
            "request_s": float(stream.mean() * per_token),
            "devices": float(1000.0 * given.batch / given.verify_ms / np.mean(needs)),
        }
        return Measures(policy, values)

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The authors' two factors, against centralised serving."""
        values = by_policy(results)
        found = []
        for key, factor, what in (("rate", 2.2, "throughput"), ("devices", 2.8, "capacity")):
            ours, theirs = values["sled"][key], values["centralised"][key]
            assert ours is not None
            assert theirs is not None
            reason = f"{ours / theirs:.2f}x at these settings; E(0.7, 4) = 2.77 is the model's at acceptance 0.7"
            text = f"{factor}x the {what} of centralised serving"
            found.append(Claim.decided(text, _PAGES, Tag.STATED, ours >= factor * theirs, reason))
        return found

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Expected tokens, and the best length as the way grows."""
        golden = {(0.5, 3): 1.88, (0.6, 3): 2.18, (0.6, 4): 2.31, (0.7, 4): 2.77, (0.8, 4): 3.36, (0.8, 6): 3.95}
        for (acceptance, length), value in golden.items():
            got = tokens(acceptance, length)
            yield Check.near(f"E({acceptance:g}, {length})", value, got, 0.00501, _GOLDEN)
        ratio = self._capacity(0.7, 4) / self._capacity(0.7, 0)
        yield Check.near("capacity at a 0.7, k 4 over centralised", 2.773, ratio, 0.0005, _GOLDEN)
        ways = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
        states = [State(acceptance=0.7, draft_ms=12.0, rtt_ms=way, verify_ms=30.0) for way in ways]
        lengths = [Problem(state).best() for state in states]
        yield Check.equal("best lengths over round trips 0 to 320 ms", [2, 2, 2, 3, 4, 5, 6], lengths, _GOLDEN)

    def _capacity(self, acceptance: float, length: int) -> float:
        device = DeviceClass(name="one", acceptance=acceptance, draft_ms=12.0, rtt_ms=20.0)
        made = Sled(Settings(devices=[device], fixed=length))
        value = made.evaluate(f"length {length}", np.ones(1)).values["devices"]
        assert value is not None
        return value
