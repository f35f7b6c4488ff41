"""The scenario file, section by section: what each key may hold. The format is ``idn-gym/scenario-1``.

Rules that span several keys are in `rules`, a scenario that keeps them in `scenario`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    Strict,
    Tag,
    model_serializer,
    model_validator,
)
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

    size: Positive = Field(description="memory that the model takes there, MB")
    delay: NonNegative = Field(description="time to serve a request there, ms")
    throughput: NonNegative = Field(description="requests/s it can serve there; per slot, times slot_seconds")
    price: NonNegative = Field(default=0.0, description="of holding it there, currency per hour")


class Model(Sparse):
    """A model (variant) of one task; accuracy in percentage points. It runs on the processors it has a profile for.

    In a chain: `after`, the models of the stage before that may precede it (default: any); towards the next stage,
    `output_mb` MB move to another node `trips` times the latency away.
    """

    unsaid = ("output_mb", "trips", "after")

    name: Name = Field(description="name, unique among models; task/variant by habit")
    task: Name = Field(description="the task it serves, one of tasks")
    accuracy: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        description="accuracy in percentage points, 0 to 100: 40.2, not 0.402"
    )
    output_mb: NonNegative = Field(default=0.0, description="what it hands to the next stage of a chain, MB")
    trips: NonNegative = Field(default=1.0, description="times a link's latency, from it to the next stage of a chain")
    after: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description="models of the stage before that may precede it in a chain; default: any"
    )
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)] = Field(
        description="how it runs: processor -> profile; without a profile for a processor it cannot run there"
    )

    @property
    def variant(self) -> str:
        """Its name less the task that it begins with."""
        return self.name.removeprefix(f"{self.task}/")


class Node(Sparse):
    """A compute node: budget in MB; `repository` lists the models it holds permanently, outside the budget."""

    unsaid = ("entry",)

    name: Name = Field(description="name, unique among nodes")
    processor: Name = Field(description="its kind of processor, as profiles of models name it")
    budget: NonNegative = Field(default=0.0, description="memory for the models that a policy places, MB")
    tier: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="0 is the cloud; default: hops to the nearest repository"
    )
    entry: bool = Field(
        default=False,
        description="whether requests enter here; default: at the highest tier, or where no repository is",
    )
    repository: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None,
        description="models that it holds for good, outside its budget, and with capacity for all that reaches it",
    )


class Link(Section):
    """An undirected link; latency is the round trip in ms, bandwidth in MB/s (absent: transfers take no time)."""

    source: Name = Field(description="a node")
    target: Name = Field(description="another node; links have no direction")
    latency: NonNegative = Field(description="round trip, ms")
    bandwidth: Positive | None = Field(default=None, description="MB/s; default: transfers take no time")


class Service(Sparse):
    """What a request asks for: one task, or several in turn."""

    unsaid = ("input_mb", "weight", "priority")

    name: Name = Field(description="name, unique among services")
    stages: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1, max_length=8)] = Field(
        description="tasks, in the order in which they are served"
    )
    input_mb: NonNegative = Field(default=0.0, description="what a request carries, MB")
    weight: Positive = Field(default=1.0, description="what its costs and gains are multiplied by")
    priority: Annotated[int, Field(ge=-(10**9), le=10**9)] = Field(
        default=0, description="capacity goes to higher ones first"
    )
    accuracy_weights: Annotated[tuple[NonNegative, ...], AsTuple, Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="one per stage, times accuracy_weight; default: 1 each"
    )
    deadline_ms: NonNegative | None = Field(
        default=None, description="latency above which an option costs violation_ms more, ms; of one stage"
    )
    report_deadline_ms: NonNegative | None = Field(
        default=None, description="latency above which a request counts as missed, ms; in no cost"
    )

    @property
    def counted_deadline(self) -> float | None:
        """Ms beyond which a request counts as missed."""
        return self.deadline_ms if self.report_deadline_ms is None else self.report_deadline_ms


class Request(Section):
    """A request type: a service, or the one of a task's name, and the path from its entry node to a repository."""

    task: Name | None = Field(default=None, description="what is asked for: the service of this name")
    service: Name | None = Field(default=None, description="what is asked for, one of services")
    path: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] = Field(
        description="nodes from the entry node to a repository of the task, each linked to the next"
    )

    @property
    def asks_for(self) -> str:
        """Name of the service."""
        return self.service or self.task or ""


class Outages(Section):
    """Nodes lose all but `remaining` of their capacity: `probability` to fail per slot, `duration` slots on average."""

    kind: Literal["outages"] = Field(description="nodes fail now and then")
    probability: Annotated[float, Field(ge=0.0, le=1.0)] = Field(description="of a node to fail in a slot, 0 to 1")
    duration: Annotated[float, Field(ge=1.0, le=1e15)] = Field(
        default=10.0, description="of a failure, slots on average"
    )
    remaining: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.0, description="share of its capacity that a failed node keeps, 0 to 1"
    )


class ConstantCapacity(Section):
    """Every placement has its nominal capacity in every slot."""

    kind: Literal["constant"] = Field(description="capacities stay nominal")


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

    amplitude: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        description="how far the rate swings, as a share of its mean, 0 to 1"
    )
    period: Annotated[float, Field(gt=1.0, le=1e9)] = Field(description="of a swing, slots")


class Flash(Section):
    """Crowds: with `probability` one starts in a slot, at an entry node drawn evenly, whose rate it multiplies.

    It lasts `duration` slots on average (geometric), and adds to the total rate. A node has one crowd at a time.
    """

    probability: Annotated[float, Field(ge=0.0, le=1.0)] = Field(description="that a crowd starts in a slot, 0 to 1")
    duration: Annotated[float, Field(ge=1.0, le=1e15)] = Field(description="of a crowd, slots on average")
    factor: Annotated[float, Field(ge=1.0, le=1e6)] = Field(
        description="what a crowd multiplies the rate of its entry node by, 1 or more"
    )


class _Drawn(Section):
    kind: Literal["zipf", "burst"] = Field(description="law of the counts")
    rate: NonNegative = Field(description="requests/s over all types, on average")
    exponent: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        default=1.2, description="of the Zipf law: popularity of the i-th task is proportional to i^-exponent"
    )
    profile: Literal["fixed", "sliding"] = Field(
        default="fixed", description="fixed: popularity stays; sliding: it shifts cyclically over the tasks"
    )
    shift: Count | None = Field(default=None, description="tasks that popularity shifts by; with profile sliding")
    every: Count | None = Field(default=None, description="slots between shifts; with profile sliding")
    diurnal: Diurnal | None = Field(default=None, description="swing of the rate over the day; default: none")
    flash: Flash | None = Field(default=None, description="crowds; default: none")
    capacity: Capacity = Field(
        default=ConstantCapacity(kind="constant"), description="how capacities vary; default: they do not"
    )

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

    kind: Literal["zipf"] = Field(description="counts are Poisson")


class Burst(_Drawn):
    """As `Zipf`, with the mean of each count times a multiplier from a gamma law of mean 1 and this shape.

    A small shape is bursty. With probability `persistence` a multiplier stays what it was in the slot before, which
    leaves the law of every slot as it is and makes persistence^n the correlation of multipliers n slots apart. There
    is one multiplier ``per: type``, or one ``per: task``: per service, shared by all its entry nodes.
    """

    kind: Literal["burst"] = Field(description="counts are gamma-Poisson: bursty")
    shape: Annotated[float, Field(ge=1e-3, le=1e15)] = Field(description="of the gamma law; the smaller, the burstier")
    persistence: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        default=None,
        description="probability that a multiplier stays what it was in the slot before, 0 to below 1; default: 0",
    )
    per: Literal["type", "task"] | None = Field(
        default=None, description="what has a multiplier of its own; default: type"
    )


class Adversary(Section):
    """All requests of a slot, `rate` x slot_seconds of them, go to the type that a greedy victim is worst prepared for.

    The victim is the last-batch greedy rule with this `keep`. Types it is equally ill prepared for are drawn by
    popularity over services, that of the i-th proportional to i^-exponent.
    """

    kind: Literal["adversary"] = Field(description="requests go where a greedy victim is worst prepared")
    rate: NonNegative = Field(description="requests/s, all of one type in a slot")
    exponent: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        default=0.0, description="of the Zipf law that settles ties"
    )
    keep: Annotated[float, Field(ge=0.0, le=1e6)] = Field(
        default=0.5,
        description="bonus on the gain of what the victim already holds: 0.5 asks a newcomer to be half as good again",
    )


class Replay(Section):
    """A trace file, and a capacity file where capacities vary; paths are relative to the scenario file."""

    kind: Literal["trace"] = Field(description="requests of a trace file")
    requests: Location = Field(
        description="trace file, relative to this file: CSV with columns slot,task,source,requests"
    )
    capacities: Location | None = Field(
        default=None,
        description="capacity file, relative to this file: CSV with columns slot,node,model,capacity; default: nominal",
    )


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


class Content(Sparse):
    """All that a scenario file holds, each key as its section says; whether it keeps the rules is another matter."""

    unsaid = ("price_weight", "violation_ms", "provenance")

    format: Literal["idn-gym/scenario-1"] = Field(description="version of this format")
    name: Name = Field(description="what it is called in tables and records")
    slot_seconds: Positive = Field(default=60.0, description="length of a slot, s")
    horizon: Count = Field(default=600, description="slots of an episode or run by default")
    replicas: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="times that each model is offered: name, name#2, ..."
    )
    accuracy_weight: NonNegative = Field(
        default=1.0, description="alpha, ms that a percentage point of inaccuracy costs"
    )
    price_weight: NonNegative = Field(
        default=0.0, description="ms of gain per unit of currency; 0: prices are reported, not optimised"
    )
    violation_ms: NonNegative = Field(default=0.0, description="ms that an option later than a deadline costs more")
    tasks: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] = Field(
        description="tasks, the most popular first"
    )
    models: Annotated[tuple[Model, ...], AsTuple, Field(min_length=1)] = Field(description="models, each of one task")
    nodes: Annotated[tuple[Node, ...], AsTuple, Field(min_length=1)] = Field(description="compute nodes")
    links: Annotated[tuple[Link, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description="links between nodes; default: none"
    )
    services: Annotated[tuple[Service, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description="what may be asked for, the most popular first; default: each task by itself"
    )
    requests: Annotated[tuple[Request, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None,
        description="request types; default: every service from every entry node, on the way to its nearest repository",
    )
    workload: Workload | None = Field(
        default=None, description="what draws the requests; default: none, and a trace file is needed"
    )
    provenance: dict[Name, str] = Field(default={}, description="where figures come from: dotted key -> free text")

    @property
    def offered(self) -> tuple[Service, ...]:
        """The services that requests may ask for: those listed, else one of each task, of its name."""
        return self.services or tuple(Service(name=task, stages=(task,)) for task in self.tasks)
