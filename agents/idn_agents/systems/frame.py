"""What every system has: a problem, decisions, a stream to be measured on, baselines, claims and checks.

A file of a system holds, in this order: its facts with their source; ``Settings`` (what ``--set`` sets) and ``State``
(what a decision is asked for), which pydantic validates; its ``Problem``: configurations, profile, objective,
constraints and solvers; its `System`, which puts them on a stream beside the baselines of the paper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ValidationError

from idn_gym.common.text import shown
from idn_gym.errors import IdnError
from idn_gym.scenario.faults import faults_of, refusal
from idn_gym.scenario.overrides import overridden, pairs
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray

SettingsT = TypeVar("SettingsT", bound=Section)
StateT = TypeVar("StateT", bound=Section)
StreamT = TypeVar("StreamT")
SectionT = TypeVar("SectionT", bound=Section)


class Tag(StrEnum):
    """Where a statement or a value comes from."""

    STATED = "S"
    VERIFIED = "V"
    COMPUTED = "C"
    DERIVED = "D"
    OWN = "L"

    @property
    def meaning(self) -> str:
        """In words."""
        return _MEANINGS[self]


_MEANINGS = {
    Tag.STATED: "stated in the paper's abstract",
    Tag.VERIFIED: "read in the authors' public code or data",
    Tag.COMPUTED: "computed here",
    Tag.DERIVED: "derived here from the paper's statements",
    Tag.OWN: "this library's own choice, where nothing is public",
}


class Outcome(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "not decided"


@dataclass(frozen=True)
class Formula:
    """A formula or fact that a system is built on."""

    what: str
    text: str
    tag: Tag


@dataclass(frozen=True)
class Claim:
    """Something that a paper, or this library, says of a system, and what came of it on a stream."""

    text: str
    source: str
    tag: Tag
    outcome: Outcome
    reason: str  # the figures behind the outcome

    @classmethod
    def decided(cls, text: str, source: str, tag: Tag, holds: bool, reason: str) -> Claim:
        """A claim that came out one way or the other."""
        return cls(text, source, tag, Outcome.HOLDS if holds else Outcome.FAILS, reason)


@dataclass(frozen=True)
class Check:
    """A number that must come out: expected and got are JSON values."""

    name: str
    expected: Any
    got: Any
    holds: bool
    source: str

    @classmethod
    def near(cls, name: str, expected: float, got: float, tolerance: float, source: str) -> Check:
        """That a number is the expected one, up to an absolute tolerance, such as half of its last digit."""
        holds = abs(got - expected) <= tolerance * (1.0 + 1e-9)
        return cls(name, expected, float(got), holds, source)

    @classmethod
    def equal(cls, name: str, expected: Any, got: Any, source: str) -> Check:
        """That a JSON value is exactly the expected one."""
        return cls(name, expected, got, bool(expected == got), source)

    @classmethod
    def within(cls, name: str, low: float | None, high: float | None, got: float, source: str) -> Check:
        """That a number lies between two levels, either of which may be open."""
        holds = (low is None or got >= low) and (high is None or got <= high)
        parts = [f"{sign} {level:g}" for sign, level in ((">=", low), ("<=", high)) if level is not None]
        return cls(name, " and ".join(parts), float(got), bool(holds), source)


@dataclass(frozen=True)
class Measure:
    """A column of a system's table."""

    key: str
    header: str  # with its unit
    form: str = ".4g"  # how Python writes it


@dataclass(frozen=True)
class Measures:
    """What came of one policy on a stream."""

    policy: str
    values: Mapping[str, float | None]  # by the keys of the system's measures; None where it has no value
    steps: Mapping[str, FloatArray] = field(default_factory=dict)  # (T,) each, T steps of the stream
    labels: Sequence[str] = ()  # of the steps, where they have names


@dataclass(frozen=True)
class Decision:
    """One state's answer: its JSON values, or None and why there is none."""

    values: dict[str, Any] | None
    reason: str = ""


class Infeasible(IdnError):
    """No configuration meets a state's constraints; the message says which one binds."""


class System(ABC, Generic[SettingsT, StateT, StreamT]):
    """A system of the field.

    Parameters
    ----------
    settings : of its problem and its stream; the defaults are the paper's where they are known.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]  # authors' title and where it is found
    settings_kind: ClassVar[type[Section]]
    state_kind: ClassVar[type[Section]]
    formulas: ClassVar[tuple[Formula, ...]]
    measures: ClassVar[tuple[Measure, ...]]
    trade_off: ClassVar[tuple[str, str]]  # the measures on the two axes of its picture
    over_time: ClassVar[tuple[str, str] | None] = None  # series of `Measures.steps` in its picture, and its label
    stream_format: ClassVar[str]  # of the file of --trace, and what stands in for it
    network: ClassVar[str]  # what of it fits a scenario of the network, and what does not

    def __init__(self, settings: SettingsT | None = None) -> None:
        self.settings: SettingsT = settings or self.settings_kind()  # type: ignore[assignment]

    @abstractmethod
    def decide(self, state: StateT) -> Decision:
        """What the system does in one state.

        Raises
        ------
        Infeasible
            If no configuration meets the constraints.
        """

    @abstractmethod
    def stream(self, path: Path | None = None) -> StreamT:
        """The stream in a file, or the synthetic one of the settings; an `IdnError` if the file holds none."""

    @abstractmethod
    def policies(self) -> Sequence[str]:
        """The system itself, which is first, and what its paper compares it with."""

    @abstractmethod
    def evaluate(self, policy: str, stream: StreamT) -> Measures:
        """What comes of a policy on a stream."""

    @abstractmethod
    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """What the paper claims, and what came of it in these results of all policies."""

    @abstractmethod
    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Golden numbers, whatever the settings.

        Parameters
        ----------
        data : folder of the real data; what needs it is left out where there is none.
        """


def settings_of(kind: type[SectionT], overrides: Sequence[str]) -> SectionT:
    """Settings with some of them set, each as ``key=value``; an `IdnError` if a key or value is not allowed."""
    data = kind().model_dump()
    for key, value in pairs(overrides):
        data = overridden(data, key, value)
    return validated(kind, data, "--set")


def validated(kind: type[SectionT], data: Any, source: str) -> SectionT:
    """JSON values as a section, or an `IdnError` that says what of them is wrong."""
    if not isinstance(data, dict):
        raise IdnError(f"{source}: {shown(data)}; must be a mapping of keys")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise refusal(source, faults_of(error, data, kind)) from None


def by_policy(results: Sequence[Measures]) -> dict[str, Mapping[str, float | None]]:
    """The values of each policy, by its name."""
    return {result.policy: result.values for result in results}
