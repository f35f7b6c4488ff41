"""The scenario file's section `workload`: what draws the requests, and the capacities of each slot."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, GetJsonSchemaHandler, JsonValue, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from idn_gym.plugins import CAPACITIES, WORKLOADS, names
from idn_gym.scenario.section import AsTuple, Count, Location, Name, NonNegative, Section


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

    group: ClassVar[str] = CAPACITIES  # that packages register it under

    kind: Location = Field(description="code of one's own: a registered name, FILE.py:Class or package.module:Class")
    __pydantic_extra__: dict[str, JsonValue]

    @property
    def parameters(self) -> dict[str, Any]:
        """What the constructor is given."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allows only kinds of one's own, so that a section is of one kind, and a misspelt one of none."""
        schema = handler(core)
        registered = sorted(name for name in names(cls.group) if name not in _SHIPPED)
        allowed: list[JsonSchemaValue] = [{"pattern": ":"}, *([{"enum": registered}] if registered else [])]
        handler.resolve_ref_schema(schema)["properties"]["kind"]["anyOf"] = allowed
        return schema


OWN = "FILE.py:Class"  # stands for all kinds of one's own, where kinds are listed
_SHIPPED = ("zipf", "burst", "adversary", "trace", "social", "constant", "outages")


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


class Local(Section):
    """Popularity that differs by entry node: each has a ranking of the services of its own, drawn from `seed`.

    A `share` of the requests follows it, the rest the common ranking. Entry nodes keep their even parts of the rate.
    """

    share: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        description="of the requests that follow the ranking of their entry node, 0 to 1"
    )
    seed: Annotated[int, Field(ge=0, le=10**9)] = Field(default=0, description="of the rankings; not of the stream")


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
    local: Local | None = Field(default=None, description="rankings by entry node; default: one for all")
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


class Influence(Section):
    """What one entry node asks for moves what another one does: an arc, with a weight among those to its target."""

    source: Name = Field(description="an entry node, which influences the target")
    target: Name = Field(description="another entry node")
    weight: Annotated[float, Field(gt=0.0, le=1e9)] = Field(
        default=1.0, description="among the arcs to the same target, which share out what it hears"
    )


class Social(Section):
    """Poisson counts; what an entry node asks for follows those that influence it, and leaders follow a trend.

    Every `every` slots one service drawn evenly becomes the trend, and `trend` of each leader's requests ask for it.
    Entry nodes have even parts of the rate.
    """

    kind: Literal["social"] = Field(description="popularity spreads from entry node to entry node")
    rate: NonNegative = Field(description="requests/s over all types, on average")
    exponent: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        default=1.2,
        description="of the Zipf law of each entry node's own opinion: that of the i-th service is i^-exponent",
    )
    influence: Annotated[tuple[Influence, ...], AsTuple, Field(min_length=1)] = Field(
        description="arcs between entry nodes, each given once"
    )
    leaders: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] = Field(
        description="entry nodes that switch to the trend, whoever influences them"
    )
    every: Count = Field(default=60, description="slots that a trend lasts")
    trend: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.5, description="share of a leader's requests that ask for the trend, 0 to 1"
    )
    conformity: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.8, description="how far a node goes by what it hears, and not by its own opinion, 0 to 1"
    )
    inertia: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.7, description="of an opinion from slot to slot, 0 to below 1; a change takes 1 / (1 - inertia) slots"
    )
    capacity: Capacity = Field(
        default=ConstantCapacity(kind="constant"), description="how capacities vary; default: they do not"
    )


class OwnWorkload(Own):
    """A class whose `draw` makes the requests; see docs/how-to/own-workload.md."""

    group = WORKLOADS

    capacity: Capacity = Field(
        default=ConstantCapacity(kind="constant"), description="how capacities vary; default: they do not"
    )


Workload = Annotated[
    Annotated[Zipf, Tag("zipf")]
    | Annotated[Burst, Tag("burst")]
    | Annotated[Adversary, Tag("adversary")]
    | Annotated[Replay, Tag("trace")]
    | Annotated[Social, Tag("social")]
    | Annotated[OwnWorkload, Tag(OWN)],
    _kind(WORKLOADS),
]
