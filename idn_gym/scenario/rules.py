"""The rules of a scenario that span several keys; each fault names the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx

from idn_gym.common.text import allowed, listed, shown
from idn_gym.scenario.routes import entry_nodes, holders, link_graph
from idn_gym.scenario.schema import Content, Service
from idn_gym.scenario.workloads import Own, Social

MOST_REQUESTS = 1e12


def broken_rules(content: Content) -> list[str]:
    """Every broken rule, as one line each, in the order of the file; empty if the scenario is valid."""
    found = [
        *_repeated("tasks", content.tasks),
        *_models(content),
        *_nodes(content),
        *_links(content),
        *_services(content),
        *_workload(content),
    ]
    if found:  # routes only make sense over names and links that exist
        return found
    found = [*_requests(content)] if content.requests is not None else [*_default_requests(content)]
    return found or [*_influence(content)]


def replica_name(model: str, replica: int) -> str:
    """Name of the replica-th offer of a model, counted from 0: ``name``, ``name#2``, ..."""
    return model if replica == 0 else f"{model}#{replica + 1}"


def _repeated(key: str, names: Any, of: Callable[[Any], Hashable] = lambda name: name) -> Iterator[str]:
    seen = set()
    for name in names:
        if of(name) in seen:
            yield f"{key}: {shown(of(name))} twice; each name is allowed once"
        seen.add(of(name))


def _models(content: Content) -> Iterator[str]:
    offered = [replica_name(model.name, n) for n in range(content.replicas) for model in content.models]
    yield from _repeated("models", offered)
    tasks = set(content.tasks)
    for model in content.models:
        if model.task not in tasks:
            yield f"models.{model.name}.task: unknown task {shown(model.task)}; {allowed(model.task, content.tasks)}"
    names = [model.name for model in content.models]
    for model in content.models:
        for before in model.after or ():
            if before not in names:
                yield f"models.{model.name}.after: unknown model {shown(before)}; {allowed(before, names)}"


def _nodes(content: Content) -> Iterator[str]:
    yield from _repeated("nodes", content.nodes, of=lambda node: node.name)
    models = {model.name: model for model in content.models}
    processors = sorted({processor for model in content.models for processor in model.profiles})
    known = set(processors)
    for node in content.nodes:
        key = f"nodes.{node.name}"
        if node.processor not in known and (node.budget > 0 or node.repository):
            choice = allowed(node.processor, processors)
            yield f"{key}.processor: no model has a profile for {shown(node.processor)}; {choice}"
            continue
        repository = node.repository or ()
        yield from _repeated(f"{key}.repository", repository)
        for name in repository:
            if name not in models:
                yield f"{key}.repository: unknown model {shown(name)}; {allowed(name, models)}"
            elif node.processor not in models[name].profiles:
                profiles = listed(sorted(models[name].profiles))
                yield f"{key}.repository: {shown(name)} has no profile for {shown(node.processor)}; it has: {profiles}"


def _links(content: Content) -> Iterator[str]:
    nodes = sorted({node.name for node in content.nodes})
    known = set(nodes)
    seen = set()
    for index, link in enumerate(content.links or ()):
        for end in ("source", "target"):
            name = getattr(link, end)
            if name not in known:
                yield f"links.{index}.{end}: unknown node {shown(name)}; {allowed(name, nodes)}"
        if link.source == link.target:
            yield f"links.{index}: {shown(link.source)} linked to itself; a link joins two nodes"
        ends = frozenset((link.source, link.target))
        if ends in seen:
            yield f"links.{index}: {link.source} - {link.target} given twice; links are undirected, each is given once"
        seen.add(ends)


def _services(content: Content) -> Iterator[str]:
    yield from _repeated("services", content.services or (), of=lambda service: service.name)
    for service in content.services or ():
        key, stages = f"services.{service.name}", len(service.stages)
        for task in service.stages:
            if task not in content.tasks:
                yield f"{key}.stages: unknown task {shown(task)}; {allowed(task, content.tasks)}"
        weights = service.accuracy_weights
        if weights is not None and len(weights) != stages:
            yield f"{key}.accuracy_weights: {len(weights)} of them; must be {stages}, one per stage"
        if stages > 1 and service.deadline_ms is not None:
            says = f"a deadline is for one stage, the service has {stages}; report_deadline_ms counts late requests"
            yield f"{key}.deadline_ms: {service.deadline_ms:g}; {says}"


def _workload(content: Content) -> Iterator[str]:
    if isinstance(content.workload, Own):  # what its keys mean is its own business
        return
    rate = getattr(content.workload, "rate", 0.0)
    peak = getattr(content.workload, "peak", rate)
    if peak * content.slot_seconds > MOST_REQUESTS:
        rises = f", {peak:g} at its peak" if peak > rate else ""
        yield f"workload.rate: {rate} requests/s{rises}; a slot may have at most {MOST_REQUESTS:g} requests on average"


def _influence(content: Content) -> Iterator[str]:
    """Between entry nodes, once each; leaders are among them."""
    workload = content.workload
    if not isinstance(workload, Social):
        return
    if content.requests is None:
        entries = [content.nodes[v].name for v in entry_nodes(content)]
    else:
        entries = list(dict.fromkeys(request.path[0] for request in content.requests))
    seen = set()
    for index, arc in enumerate(workload.influence):
        key = f"workload.influence.{index}"
        for end in ("source", "target"):
            if (name := getattr(arc, end)) not in entries:
                yield f"{key}.{end}: {shown(name)} is no entry node; {allowed(name, entries)}"
        if arc.source == arc.target:
            yield f"{key}: {shown(arc.source)} to itself; what a node keeps of its opinion is inertia and conformity"
        if (arc.source, arc.target) in seen:
            yield f"{key}: {arc.source} to {arc.target} given twice; each arc is given once"
        seen.add((arc.source, arc.target))
    yield from _repeated("workload.leaders", workload.leaders)
    for name in workload.leaders:
        if name not in entries:
            yield f"workload.leaders: {shown(name)} is no entry node; {allowed(name, entries)}"


def _requests(content: Content) -> Iterator[str]:
    nodes = {node.name: node for node in content.nodes}
    task_of = {model.name: model.task for model in content.models}
    links = {frozenset((link.source, link.target)) for link in content.links or ()}
    services = {service.name: service for service in content.offered}
    word = "task" if content.services is None else "service"
    seen = set()
    for index, request in enumerate(content.requests or ()):
        key = f"requests.{index}"
        if (request.task is None) == (request.service is None):
            names = "neither task nor service" if request.task is None else "both task and service"
            yield f"{key}: names {names}; must name one of them"
            continue
        if request.asks_for not in services:
            named = "task" if request.service is None else "service"
            yield f"{key}.{named}: unknown {word} {shown(request.asks_for)}; {allowed(request.asks_for, services)}"
            continue
        service = services[request.asks_for]
        unknown = [name for name in request.path if name not in nodes]
        if unknown:
            yield f"{key}.path: unknown node {shown(unknown[0])}; {allowed(unknown[0], nodes)}"
            continue
        yield from _repeated(f"{key}.path", request.path)
        for here, there in pairwise(request.path):
            if here != there and frozenset((here, there)) not in links:
                yield f"{key}.path: no link {here} - {there}; consecutive nodes of a path must be linked"
        last = nodes[request.path[-1]]
        if service.stages[-1] not in {task_of[name] for name in last.repository or ()}:
            yield (
                f"{key}.path: its last node {shown(last.name)} has no repository model of task "
                f"{shown(service.stages[-1])}; a path ends at a repository of its task"
            )
        elif not _repositories_serve(content, service, request.path):
            yield f"{key}.path: repository models alone do not serve {shown(service.name)} along it, stage by stage"
        if (request.asks_for, request.path[0]) in seen:
            name, entry = shown(request.asks_for), shown(request.path[0])
            yield f"{key}: {word} {name} from {entry} twice; one path per {word} and entry node"
        seen.add((request.asks_for, request.path[0]))


def _default_requests(content: Content) -> Iterator[str]:
    entries = entry_nodes(content)
    if not entries:
        yield "nodes: no entry node, since every node has a repository; mark one with entry: true"
        return
    word = "task" if content.services is None else "service"
    services = {service.name: service for service in content.offered}
    component = {v: c for c, members in enumerate(nx.connected_components(link_graph(content))) for v in members}
    for name, held in holders(content).items():
        if not held:
            of = "it" if content.services is None else "each of its stages"
            yield f"{word}s: {shown(name)} has no repository; some node must list a model of {of} under repository"
            continue
        if not all(_repositories_serve(content, services[name], (content.nodes[v].name,)) for v in held):
            yield f"services.{name}: repository models alone do not serve its stages in turn, by what comes after what"
            continue
        reached = {component[v] for v in held}
        for v in entries:
            if component[v] not in reached:
                yield f"links: no route from {shown(content.nodes[v].name)} to a repository of {word} {shown(name)}"


def _repositories_serve(content: Content, service: Service, path: Sequence[str]) -> bool:
    """Whether there is a route along a path through repository models alone."""
    models = {model.name: model for model in content.models}
    held = {node.name: node.repository or () for node in content.nodes}
    reached: set[tuple[int, str]] = set()  # position and model of the stage before
    for stage, task in enumerate(service.stages):
        reached = {
            (j, name)
            for j, node in enumerate(path)
            for name in held[node]
            if models[name].task == task
            and (stage == 0 or any(i <= j and before in (models[name].after or (before,)) for i, before in reached))
        }
    return bool(reached)
