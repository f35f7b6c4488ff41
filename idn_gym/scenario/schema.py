"""The scenario file, section by section: what each key may hold. The format is ``idn-gym/scenario-1``.

Rules that span several keys are in `rules`, a scenario that keeps them in `scenario`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from idn_gym.common.text import UNPRINTABLE

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


class Sparse(Section):
    """A section that writes some keys only where they say something: a file without them stays as it is."""

    unsaid: ClassVar[tuple[str, ...]] = ()  # keys left out while they have their default

    @model_serializer(mode="wrap")
    def _said(self, values_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = values_of(self)
        for key in self.unsaid:
            if key in values and getattr(self, key) == type(self).model_fields[key].default:
                del values[key]
        return values


class Profile(Sparse):
    """How a model runs on one kind of processor: size in MB, delay in ms, throughput in requests/s.

    `price`: currency per hour of holding it.
    """

    unsaid = ("price",)

    size: Positive
    delay: NonNegative
    throughput: NonNegative
    price: NonNegative = 0.0


class Model(Sparse):
    """A model (variant) of one task; accuracy in percentage points. It runs on the processors it has a profile for.

    In a chain: `after`, the models of the stage before that may precede it (default: any); towards the next stage,
    `output_mb` MB move to another node `trips` times the latency away.
    """

    unsaid = ("output_mb", "trips", "after")

    name: Name
    task: Name
    accuracy: Annotated[float, Field(ge=0.0, le=100.0)]
    output_mb: NonNegative = 0.0
    trips: NonNegative = 1.0
    after: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = None
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)]

    @property
    def variant(self) -> str:
        """Its name less the task that it begins with."""
        return self.name.removeprefix(f"{self.task}/")


class Node(Sparse):
    """A compute node: budget in MB; `repository` lists the models it holds permanently, outside the budget."""

    unsaid = ("entry",)

    name: Name
    processor: Name
    budget: NonNegative = 0.0
    tier: Annotated[int, Field(ge=0, le=1000)] | None = None
    entry: bool = False
    repository: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = None


class Link(Section):
    """An undirected link; latency is the round trip in ms, bandwidth in MB/s (absent: transfers take no time)."""

    source: Name
    target: Name
    latency: NonNegative
    bandwidth: Positive | None = None


class Service(Sparse):
    """What a request asks for: one task, or several in turn.

    Its requests carry `input_mb` MB, count `weight` times, and are served after those of higher `priority`.
    `accuracy_weights`, one per stage, multiply the scenario's. An option slower than `deadline_ms` costs the scenario's
    `violation_ms` more; `report_deadline_ms` is counted, in no cost.
    """

    unsaid = ("input_mb", "weight", "priority")

    name: Name
    stages: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1, max_length=8)]
    input_mb: NonNegative = 0.0
    weight: Positive = 1.0
    priority: Annotated[int, Field(ge=-(10**9), le=10**9)] = 0
    accuracy_weights: Annotated[tuple[NonNegative, ...], AsTuple, Field(min_length=1, max_length=8)] | None = None
    deadline_ms: NonNegative | None = None
    report_deadline_ms: NonNegative | None = None

    @property
    def counted_deadline(self) -> float | None:
        """Ms beyond which a request counts as missed."""
        return self.deadline_ms if self.report_deadline_ms is None else self.report_deadline_ms


class Request(Section):
    """A request type: a service, or the one of a task's name, and the path from its entry node to a repository."""

    task: Name | None = None
    service: Name | None = None
    path: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)]

    @property
    def asks_for(self) -> str:
        """Name of the service."""
        return self.service or self.task or ""


class Outages(Section):
    """Nodes lose all but `remaining` of their capacity: `probability` to fail per slot, `duration` slots on average."""

    kind: Literal["outages"]
    probability: Annotated[float, Field(ge=0.0, le=1.0)]
    duration: Annotated[float, Field(ge=1.0, le=1e15)] = 10.0
    remaining: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class ConstantCapacity(Section):
    """Every placement has its nominal capacity in every slot."""

    kind: Literal["constant"]


Capacity = Annotated[ConstantCapacity | Outages, Field(discriminator="kind")]


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
    """Poisson counts; `rate` in requests/s over all types.

    Popularity of the i-th service is proportional to i^-exponent.
    """

    kind: Literal["zipf"]


class Burst(_Drawn):
    """As `Zipf`, with the mean of each count times a multiplier from a gamma law of mean 1 and this shape.

    A small shape is bursty. With probability `persistence` a multiplier stays what it was in the slot before, which
    leaves the law of every slot as it is and makes persistence^n the correlation of multipliers n slots apart. There
    is one multiplier ``per: type``, or one ``per: task``: per service, shared by all its entry nodes.
    """

    kind: Literal["burst"]
    shape: Annotated[float, Field(ge=1e-3, le=1e15)]
    persistence: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    per: Literal["type", "task"] | None = None


class Adversary(Section):
    """All requests of a slot, `rate` x slot_seconds of them, go to the type that a greedy victim is worst prepared for.

    The victim is the last-batch greedy rule with this `keep`. Types it is equally ill prepared for are drawn by
    popularity over services, that of the i-th proportional to i^-exponent.
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


Workload = Annotated[Zipf | Burst | Adversary | Replay, Field(discriminator="kind")]


class Content(Sparse):
    """All that a scenario file holds, each key as its section says; whether it keeps the rules is another matter."""

    unsaid = ("price_weight", "violation_ms", "provenance")

    format: Literal["idn-gym/scenario-1"]
    name: Name
    slot_seconds: Positive = 60.0
    horizon: Count = 600
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    accuracy_weight: NonNegative = 1.0
    price_weight: NonNegative = 0.0  # ms of gain per unit of currency
    violation_ms: NonNegative = 0.0
    tasks: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)]
    models: Annotated[tuple[Model, ...], AsTuple, Field(min_length=1)]
    nodes: Annotated[tuple[Node, ...], AsTuple, Field(min_length=1)]
    links: Annotated[tuple[Link, ...], AsTuple, Field(min_length=1)] | None = None
    services: Annotated[tuple[Service, ...], AsTuple, Field(min_length=1)] | None = None
    requests: Annotated[tuple[Request, ...], AsTuple, Field(min_length=1)] | None = None
    workload: Workload | None = None
    provenance: dict[Name, str] = {}

    @property
    def offered(self) -> tuple[Service, ...]:
        """The services that requests may ask for: those listed, else one of each task, of its name."""
        return self.services or tuple(Service(name=task, stages=(task,)) for task in self.tasks)
