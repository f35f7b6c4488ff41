"""What is likely a slip in a valid scenario: a figure in another unit, a budget that nothing fits in, a key in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from idn_gym.common.text import did_you_mean, shown
from idn_gym.scenario.routes import entry_nodes, holders
from idn_gym.scenario.schema import Content, Model, Node
from idn_gym.scenario.workloads import Own, Social

_IN_SECONDS = 0.3  # ms: where every latency or delay is below it, they may have been given in s
_MUCH = 100  # times that all models fit
_OVERLOAD = 10.0  # times all capacity; less is a regime that people study
_NANO = 1e-9  # relative, the rounding of a sum


def likely_slips(content: Content) -> list[str]:
    """What a careful reader of a valid scenario would ask about, each as key, value and what may be meant."""
    return [
        *_units(content),
        *_models(content),
        *_budgets(content),
        *_entries(content),
        *_prices(content),
        *_deadlines(content),
        *_workload(content),
        *_influence(content),
        *_provenance(content),
    ]


def _units(content: Content) -> Iterator[str]:
    fractions = [model for model in content.models if 0.0 < model.accuracy <= 1.0]
    if fractions:
        name, accuracy = fractions[0].name, fractions[0].accuracy
        yield (
            f"models.{name}.accuracy: {accuracy:g}; percentage points are meant, 0 to 100: {100 * accuracy:g} "
            f"for a fraction of {accuracy:g}{_more(fractions)}"
        )
    latencies = [link.latency for link in content.links or () if link.latency > 0.0]
    if latencies and max(latencies) < _IN_SECONDS:
        yield f"links: no latency is above {max(latencies):g} ms; are they given in seconds? ms are meant"
    delays = [profile.delay for model in content.models for profile in model.profiles.values() if profile.delay > 0.0]
    if delays and max(delays) < _IN_SECONDS:
        yield f"models: no delay is above {max(delays):g} ms; are they given in seconds? ms are meant"


def _models(content: Content) -> Iterator[str]:
    idle = [(m.name, key) for m in content.models for key, profile in m.profiles.items() if profile.throughput == 0.0]
    if idle:
        yield f"models.{'.profiles.'.join(idle[0])}.throughput: 0; placed there it serves nothing{_more(idle)}"
    if not any(node.budget > 0.0 for node in content.nodes):
        return  # which is another slip
    nowhere = [model for model in content.models if not any(_may_hold(node, model) for node in content.nodes)]
    if nowhere:
        first = nowhere[0]
        there = {node.processor for node in content.nodes}
        why = "it fits in no budget" if there & set(first.profiles) else "no node has a processor of its profiles"
        yield f"models.{first.name}: no node can run it: {why}{_more(nowhere)}"


def _budgets(content: Content) -> Iterator[str]:
    placing = [node for node in content.nodes if node.budget > 0.0]
    if not placing:
        yield "nodes: none has a budget; nothing can be placed"
        return
    empty = [node for node in placing if not any(_fits(node, model) for model in content.models)]
    if empty:
        node = empty[0]
        least = min(m.profiles[node.processor].size for m in content.models if node.processor in m.profiles)
        yield (
            f"nodes.{node.name}.budget: {node.budget:g} MB; no model fits: the smallest takes {least:g} MB"
            f"{_more(empty)}"
        )
    elif all(_MUCH * _size_of_all(node, content) <= node.budget for node in placing):
        yield f"nodes: every budget has room for all models {_MUCH} times over; are budgets and sizes in MB?"


def _entries(content: Content) -> Iterator[str]:
    final = {v for nodes in holders(content).values() for v in nodes}
    served = [content.nodes[v] for v in entry_nodes(content) if v in final]
    if served and content.requests is None:
        yield (
            f"nodes.{served[0].name}.entry: it holds a repository; requests that enter there for its tasks "
            f"go no farther{_more(served)}"
        )
    if content.requests is not None:
        short = [n for n, request in enumerate(content.requests) if len(request.path) == 1]
        if short:
            yield f"requests.{short[0]}.path: of one node, its repository; there is no way to save{_more(short)}"
        asked = {request.asks_for for request in content.requests}
        idle = [service.name for service in content.offered if service.name not in asked]
        if idle:
            word = "task" if content.services is None else "service"
            yield f"requests: none asks for {word} {shown(idle[0])}{_more(idle)}"
        visited = {name for request in content.requests for name in request.path}
        aside = [node for node in content.nodes if node.budget > 0.0 and node.name not in visited]
        if aside:
            yield f"nodes.{aside[0].name}: on no path of requests; what is placed there serves nobody{_more(aside)}"


def _prices(content: Content) -> Iterator[str]:
    """Repository models cost nothing, and what fits nowhere is never paid for."""
    priced = [model for model in content.models if any(profile.price > 0.0 for profile in model.profiles.values())]
    paying = [model for model in priced if any(_pays(node, model) for node in content.nodes)]
    if priced and not paying:
        yield f"models.{priced[0].name}: no node can hold it at a price, so prices change nothing{_more(priced)}"
    elif content.price_weight > 0.0 and not priced:
        yield f"price_weight: {content.price_weight:g}; no profile has a price"


def _deadlines(content: Content) -> Iterator[str]:
    due = [service for service in content.services or () if service.deadline_ms is not None]
    if due and content.violation_ms == 0.0:
        yield (
            f"services.{due[0].name}.deadline_ms: {due[0].deadline_ms:g}; without violation_ms a deadline costs nothing"
            f"{_more(due)}"
        )
    elif content.violation_ms > 0.0 and not due:
        yield f"violation_ms: {content.violation_ms:g}; no service has a deadline_ms"


def _workload(content: Content) -> Iterator[str]:
    workload = content.workload
    if isinstance(workload, Own):
        return  # what its keys mean is its own matter
    rate = getattr(workload, "rate", None)
    if rate == 0.0:
        yield "workload.rate: 0 requests/s; nothing is ever asked for"
    elif rate is not None:
        capacity = sum(_most_served(node, content) for node in content.nodes)
        if rate > _OVERLOAD * capacity > 0.0:
            yield f"workload.rate: {rate:g} requests/s; what is placed, whatever it is, serves at most {capacity:g}"
    shift, every = getattr(workload, "shift", None), getattr(workload, "every", None)
    count, word = len(content.offered), "tasks" if content.services is None else "services"
    if shift is not None and shift % count == 0:
        yield f"workload.shift: {shift}; with {count} {word} popularity stays where it is"
    if every is not None and every >= content.horizon:
        yield f"workload.every: {every} slots; popularity does not shift within a horizon of {content.horizon}"


def _influence(content: Content) -> Iterator[str]:
    workload = content.workload
    if not isinstance(workload, Social):
        return
    for key in ("trend", "conformity"):
        if getattr(workload, key) == 0.0:
            yield f"workload.{key}: 0; nothing spreads"
    heard = {arc.source for arc in workload.influence}
    for name in workload.leaders:
        if name not in heard:
            yield f"workload.leaders: {shown(name)} influences nobody; its trend stays with it"


def _provenance(content: Content) -> Iterator[str]:
    known = [*type(content).model_fields, "*"]
    for key in content.provenance:
        head = key.partition(".")[0]
        if head not in known:
            meant = did_you_mean(head, known).strip() or "it must begin with a key of the file"
            yield f"provenance.{key}: no key {shown(head)} to say anything of; {meant}"


def _may_hold(node: Node, model: Model) -> bool:
    return _fits(node, model) or model.name in (node.repository or ())


def _pays(node: Node, model: Model) -> bool:
    return _fits(node, model) and model.name not in (node.repository or ()) and model.profiles[node.processor].price > 0


def _fits(node: Node, model: Model) -> bool:
    profile = model.profiles.get(node.processor)
    return profile is not None and profile.size <= node.budget * (1.0 + _NANO)


def _size_of_all(node: Node, content: Content) -> float:
    """MB of every model that can run at a node, replicas included."""
    sizes = (model.profiles[node.processor].size for model in content.models if node.processor in model.profiles)
    return content.replicas * sum(sizes)


def _most_served(node: Node, content: Content) -> float:
    """Requests/s that no allocation at a node exceeds: models by throughput per MB, the last one in part."""
    fitting = (model for model in content.models if _fits(node, model) and model.name not in (node.repository or ()))
    profiles = [model.profiles[node.processor] for model in fitting]
    room, served = node.budget, 0.0
    for profile in sorted(profiles, key=lambda profile: profile.throughput / profile.size, reverse=True):
        copies = min(float(content.replicas), room / profile.size)
        room, served = room - copies * profile.size, served + copies * profile.throughput
    return served


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
