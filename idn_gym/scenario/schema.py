"""The scenario file: network, catalog, requests and workload in one validated, immutable object.

The format is ``idn-gym/scenario-1``; reading and writing files is in `scenario_file`, the rules that
span several keys are in `scenario_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from idn_gym.common.text import UNPRINTABLE, line, listed, printable, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.wording import phrase

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


Workload = Annotated[Zipf | Burst | Adversary | Replay, Field(discriminator="kind")]


class Scenario(Section):
    """Everything needed, with a seed, to reproduce a run. Immutable; valid once it exists."""

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

    @model_validator(mode="after")
    def _rules(self) -> Scenario:
        from idn_gym.scenario.rules import faults

        found = faults(self)
        if found:
            raise PydanticCustomError("rules", "{text}", {"text": sentence(found), "faults": found})
        return self

    def to_dict(self) -> dict[str, Any]:
        """The scenario as plain JSON values, defaults included where they say something; `parse` reads it back."""
        values = self.model_dump(mode="json", exclude_none=True)
        for node in values["nodes"]:
            if not node["entry"]:
                del node["entry"]
        if not values["provenance"]:
            del values["provenance"]
        return values


def parse(data: Any, source: str) -> Scenario:
    """Validate plain values (as read from a file) into a `Scenario`.

    Parameters
    ----------
    data : the content of a scenario file, as JSON values.
    source : where it came from, for the error message.

    Raises
    ------
    IdnError
        With the first fault, its key, value and what is allowed, and the number of further faults.
    """
    if not isinstance(data, dict):
        raise IdnError(f"{source}: a scenario is a mapping of keys, not {shown(data)}")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise IdnError(f"{source}: {sentence(faults_of(error, data, Scenario))}") from None


def faults_of(error: ValidationError, data: dict[str, Any], file: type[Section]) -> list[str]:
    """What pydantic found wrong with the data of a kind of file, each fault as key, value and what is allowed."""
    found: list[str] = []
    for item in error.errors(include_url=False):
        context = item.get("ctx", {})
        if "faults" in context:
            found += context["faults"]
            continue
        key, given = dotted(item["loc"], data) or "scenario", item.get("input")
        match item["type"]:
            case "extra_forbidden":
                found.append(
                    f"{key}: unknown key; allowed: {listed(_section(item['loc'], file).model_fields, most=20)}"
                )
            case "missing":
                found.append(f"{key}: missing")
            case "sliding":
                found.append(f"{key}: {item['msg']}")
            case "union_tag_invalid":
                found.append(f"{key}.kind: {shown(given['kind'])}; allowed: {context['expected_tags']}")
            case "union_tag_not_found":
                found.append(f"{key}.kind: missing")
            case _:
                found.append(f"{key}: {shown(given)}; {phrase(item)}")
    return found


def _section(location: tuple[int | str, ...], file: type[Section]) -> type[Section]:
    """The section of the key that a location ends with."""
    here = [file]
    for step in location[:-1]:
        field = here[0].model_fields.get(str(step))
        if len(here) > 1:  # a union: the step is its tag, not a key
            here = [section for section in here if step in get_args(section.model_fields["kind"].annotation)]
        elif inner := _sections(field.annotation) if field else []:  # else the place or name of an item
            here = inner
    return here[0]


def _sections(annotation: Any) -> list[type[Section]]:
    """The sections that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def dotted(location: Sequence[int | str], data: Any) -> str:
    """The key as an override would name it: ``nodes.bs0.budget``, by name where an item has one."""
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and not isinstance(data, dict):
            data = data[step] if isinstance(data, list | tuple) and step < len(data) else None
            name = data.get("name") if isinstance(data, dict) else None
            parts.append(name if isinstance(name, str) else str(step))
        elif isinstance(data, dict) and step in data:
            data = data[step]
            parts.append(str(step))
        elif step == "[key]":  # pydantic's word for the key itself, which stands before it
            break
        elif not (isinstance(data, dict) and data.get("kind") == step):  # a union's tag is not a key
            data = None
            parts.append(str(step))
    # a name with a line break would make two lines of the message
    return line(".".join(part if part == printable(part) else shown(part) for part in parts), 80)


def sentence(found: list[str]) -> str:
    """The first fault, and how many more there are."""
    return line(found[0], 220) + (f" (and {len(found) - 1:,} more)" if len(found) > 1 else "")
