"""The scenario file, section by section: what each key may hold. The format is ``idn-gym/scenario-1``.

Rules that span several keys are in `rules`, a scenario that keeps them in `scenario`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Strict, Tag, model_validator
from pydantic_core import PydanticCustomError

from idn_gym.common.text import UNPRINTABLE
from idn_gym.plugins import CAPACITIES, WORKLOADS, names

FORMAT = "idn-gym/scenario-1"

_Line = Field(min_length=1, pattern=f"^[^{UNPRINTABLE}]*$")
Name = Annotated[str, _Line, Field(max_length=200)]
Location = Annotated[str, _Line, Field(max_length=4096)]  # of a file
# far beyond use, and low enough that no sum or product of figures overflows
NonNegative = Annotated[float, Field(ge=0.0, le=1e15)]
Positive = Annotated[float, Field(gt=0.0, le=1e15)]
Count = Annotated[int, Field(ge=1, le=10**9)]
# Strict mode refuses a list where a tuple is meant; files only have lists, so that one check is off.
AsTuple = Strict(False)


class Section(BaseModel):
    """Part of a file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Profile(Section):
    """How a model runs on one kind of processor: size in MB, delay in ms, throughput in requests/s."""

    size: Positive
    delay: NonNegative
    throughput: NonNegative


class Model(Section):
    """A model (variant) of one task; accuracy in percentage points. It runs on the processors it has a profile for."""

    name: Name
    task: Name
    accuracy: Annotated[float, Field(ge=0.0, le=100.0)]
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)]

    @property
    def variant(self) -> str:
        """Its name less the task that it begins with."""
        return self.name.removeprefix(f"{self.task}/")


class Node(Section):
    """A compute node: budget in MB; `repository` lists the models it holds permanently, outside the budget."""

    name: Name
    processor: Name
    budget: NonNegative = 0.0
    tier: Annotated[int, Field(ge=0, le=1000)] | None = None
    entry: bool = False
    repository: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = None


class Link(Section):
    """An undirected link; latency is the round trip in ms."""

    source: Name
    target: Name
    latency: NonNegative


class Request(Section):
    """A request type: a task and the path from its entry node to a repository."""

    task: Name
    path: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)]


class Outages(Section):
    """Nodes lose all but `remaining` of their capacity: `probability` to fail per slot, `duration` slots on average."""

    kind: Literal["outages"]
    probability: Annotated[float, Field(ge=0.0, le=1.0)]
    duration: Annotated[float, Field(ge=1.0, le=1e15)] = 10.0
    remaining: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class ConstantCapacity(Section):
    """Every placement has its nominal capacity in every slot."""

    kind: Literal["constant"]


class Own(Section):
    """Code of one's own: the name that a package registered, ``FILE.py:Class`` or ``package.module:Class``.

    Files are relative to the scenario file. Whatever else the section holds goes to the constructor, once numbers are
    drawn and not before: reading a scenario runs none of it.
    """

    model_config = ConfigDict(extra="allow")

    kind: Location
    __pydantic_extra__: dict[str, JsonValue]

    @property
    def parameters(self) -> dict[str, Any]:
        """What the constructor is given."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}


OWN = "FILE.py:Class"  # stands for all kinds of one's own, where kinds are listed
_SHIPPED = ("zipf", "burst", "adversary", "trace", "constant", "outages")


def _kind(group: str) -> Discriminator:
    """Tells sections by their kind; what holds a colon, or is registered under the group, is of one's own."""

    def kind(values: Any) -> str | None:
        if "kind" not in values if isinstance(values, dict) else not isinstance(values, Section):
            return None
        found = values["kind"] if isinstance(values, dict) else getattr(values, "kind", None)
        own = isinstance(found, str) and found not in _SHIPPED and (":" in found or found in names(group))
        return OWN if own else str(found)

    return Discriminator(kind)


Capacity = Annotated[
    Annotated[ConstantCapacity, Tag("constant")] | Annotated[Outages, Tag("outages")] | Annotated[Own, Tag(OWN)],
    _kind(CAPACITIES),
]


class Diurnal(Section):
    """The rate swings around its mean: times 1 + amplitude x sin(2 pi slot / period)."""

    amplitude: Annotated[float, Field(ge=0.0, le=1.0)]
    period: Annotated[float, Field(gt=1.0, le=1e9)]  # slots


class Flash(Section):
    """Crowds: with `probability` one starts in a slot, at an entry node drawn evenly, whose rate it multiplies.

    It lasts `duration` slots on average (geometric), and adds to the total rate. A node has one crowd at a time.
    """

    probability: Annotated[float, Field(ge=0.0, le=1.0)]
    duration: Annotated[float, Field(ge=1.0, le=1e15)]
    factor: Annotated[float, Field(ge=1.0, le=1e6)]


class _Drawn(Section):
    kind: Literal["zipf", "burst"]
    rate: NonNegative
    exponent: Annotated[float, Field(ge=0.0, le=100.0)] = 1.2
    profile: Literal["fixed", "sliding"] = "fixed"
    shift: Count | None = None
    every: Count | None = None
    diurnal: Diurnal | None = None
    flash: Flash | None = None
    capacity: Capacity = ConstantCapacity(kind="constant")

    @property
    def peak(self) -> float:
        """Requests/s that the mean can rise to."""
        swing = 1.0 + self.diurnal.amplitude if self.diurnal else 1.0
        return self.rate * swing * (self.flash.factor if self.flash else 1.0)

    @model_validator(mode="after")
    def _sliding_keys(self) -> _Drawn:
        needs = self.profile == "sliding"
        for key in ("shift", "every"):
            if needs == (getattr(self, key) is None):
                says = f"profile {self.profile} needs {key}" if needs else f"{key} needs profile sliding"
                raise PydanticCustomError("sliding", says)
        return self


class Zipf(_Drawn):
    """Poisson counts; `rate` in requests/s over all types, popularity of the i-th task proportional to i^-exponent."""

    kind: Literal["zipf"]


class Burst(_Drawn):
    """As `Zipf`, with the mean of each count times a multiplier from a gamma law of mean 1 and this shape.

    A small shape is bursty. With probability `persistence` a multiplier stays what it was in the slot before, which
    leaves the law of every slot as it is and makes persistence^n the correlation of multipliers n slots apart. There
    is one multiplier ``per: type``, or one ``per: task`` that all its entry nodes share.
    """

    kind: Literal["burst"]
    shape: Annotated[float, Field(ge=1e-3, le=1e15)]
    persistence: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    per: Literal["type", "task"] | None = None


class Adversary(Section):
    """All requests of a slot, `rate` x slot_seconds of them, go to the type that a greedy victim is worst prepared for.

    The victim is the last-batch greedy rule with this `keep`. Types it is equally ill prepared for are drawn by
    popularity over tasks, that of the i-th proportional to i^-exponent.
    """

    kind: Literal["adversary"]
    rate: NonNegative
    exponent: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    keep: Annotated[float, Field(ge=0.0, le=1e6)] = 0.5


class Replay(Section):
    """A trace file, and a capacity file where capacities vary; paths are relative to the scenario file."""

    kind: Literal["trace"]
    requests: Location
    capacities: Location | None = None


class OwnWorkload(Own):
    """A class whose `draw` makes the requests; see docs/how-to/own-workload.md."""

    capacity: Capacity = ConstantCapacity(kind="constant")


Workload = Annotated[
    Annotated[Zipf, Tag("zipf")]
    | Annotated[Burst, Tag("burst")]
    | Annotated[Adversary, Tag("adversary")]
    | Annotated[Replay, Tag("trace")]
    | Annotated[OwnWorkload, Tag(OWN)],
    _kind(WORKLOADS),
]


class Content(Section):
    """All that a scenario file holds, each key as its section says; whether it keeps the rules is another matter."""

    format: Literal["idn-gym/scenario-1"]
    name: Name
    slot_seconds: Positive = 60.0
    horizon: Count = 600
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    accuracy_weight: NonNegative = 1.0
    tasks: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)]
    models: Annotated[tuple[Model, ...], AsTuple, Field(min_length=1)]
    nodes: Annotated[tuple[Node, ...], AsTuple, Field(min_length=1)]
    links: Annotated[tuple[Link, ...], AsTuple, Field(min_length=1)] | None = None
    requests: Annotated[tuple[Request, ...], AsTuple, Field(min_length=1)] | None = None
    workload: Workload | None = None
    provenance: dict[Name, str] = {}
