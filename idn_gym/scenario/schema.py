"""The scenario file, section by section: what each key may hold. The format is ``idn-gym/scenario-1``.

Rules that span several keys are in `rules`, a scenario that keeps them in `scenario`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from idn_gym.scenario.section import AsTuple, Count, Name, NonNegative, Positive, Section, Sparse
from idn_gym.scenario.workloads import Workload

FORMAT = "idn-gym/scenario-1"


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
