"""The rules of a scenario that span several keys; each fault names the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import pairwise
from typing import Any

import networkx as nx

from idn_gym.common.text import listed, shown
from idn_gym.scenario.routes import entry_nodes, link_graph
from idn_gym.scenario.schema import Content, Own

MOST_REQUESTS = 1e12


def broken_rules(content: Content) -> list[str]:
    """Every broken rule, as one line each, in the order of the file; empty if the scenario is valid."""
    found = [
        *_repeated("tasks", content.tasks),
        *_models(content),
        *_nodes(content),
        *_links(content),
        *_workload(content),
    ]
    if found:  # routes only make sense over names and links that exist
        return found
    return [*_requests(content)] if content.requests is not None else [*_default_requests(content)]


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
    tasks, allowed = set(content.tasks), listed(content.tasks)
    for model in content.models:
        if model.task not in tasks:
            yield f"models.{model.name}.task: unknown task {shown(model.task)}; allowed: {allowed}"


def _nodes(content: Content) -> Iterator[str]:
    yield from _repeated("nodes", content.nodes, of=lambda node: node.name)
    models = {model.name: model for model in content.models}
    processors = sorted({processor for model in content.models for processor in model.profiles})
    known = set(processors)
    for node in content.nodes:
        key = f"nodes.{node.name}"
        if node.processor not in known and (node.budget > 0 or node.repository):
            yield f"{key}.processor: no model has a profile for {shown(node.processor)}; allowed: {listed(processors)}"
            continue
        repository = node.repository or ()
        yield from _repeated(f"{key}.repository", repository)
        for name in repository:
            if name not in models:
                yield f"{key}.repository: unknown model {shown(name)}; allowed: {listed(models)}"
            elif node.processor not in models[name].profiles:
                profiles = listed(sorted(models[name].profiles))
                yield f"{key}.repository: {shown(name)} has no profile for {shown(node.processor)}; it has: {profiles}"


def _links(content: Content) -> Iterator[str]:
    nodes = {node.name for node in content.nodes}
    allowed = listed(sorted(nodes))
    seen = set()
    for index, link in enumerate(content.links or ()):
        for end in ("source", "target"):
            if getattr(link, end) not in nodes:
                yield f"links.{index}.{end}: unknown node {shown(getattr(link, end))}; allowed: {allowed}"
        if link.source == link.target:
            yield f"links.{index}: {shown(link.source)} linked to itself; a link joins two nodes"
        ends = frozenset((link.source, link.target))
        if ends in seen:
            yield f"links.{index}: {link.source} - {link.target} given twice; links are undirected, each is given once"
        seen.add(ends)


def _workload(content: Content) -> Iterator[str]:
    if isinstance(content.workload, Own):  # what its keys mean is its own business
        return
    rate = getattr(content.workload, "rate", 0.0)
    peak = getattr(content.workload, "peak", rate)
    if peak * content.slot_seconds > MOST_REQUESTS:
        rises = f", {peak:g} at its peak" if peak > rate else ""
        yield f"workload.rate: {rate} requests/s{rises}; a slot may have at most {MOST_REQUESTS:g} requests on average"


def _requests(content: Content) -> Iterator[str]:
    nodes = {node.name: node for node in content.nodes}
    task_of = {model.name: model.task for model in content.models}
    links = {frozenset((link.source, link.target)) for link in content.links or ()}
    seen = set()
    for index, request in enumerate(content.requests or ()):
        key = f"requests.{index}"
        if request.task not in content.tasks:
            yield f"{key}.task: unknown task {shown(request.task)}; allowed: {listed(content.tasks)}"
            continue
        unknown = [name for name in request.path if name not in nodes]
        if unknown:
            yield f"{key}.path: unknown node {shown(unknown[0])}; allowed: {listed(nodes)}"
            continue
        yield from _repeated(f"{key}.path", request.path)
        for here, there in pairwise(request.path):
            if here != there and frozenset((here, there)) not in links:
                yield f"{key}.path: no link {here} - {there}; consecutive nodes of a path must be linked"
        last = nodes[request.path[-1]]
        if request.task not in {task_of[name] for name in last.repository or ()}:
            yield (
                f"{key}.path: its last node {shown(last.name)} has no repository model of task {shown(request.task)}; "
                "a path ends at a repository of its task"
            )
        if (request.task, request.path[0]) in seen:
            task, entry = shown(request.task), shown(request.path[0])
            yield f"{key}: task {task} from {entry} twice; one path per task and entry node"
        seen.add((request.task, request.path[0]))


def _default_requests(content: Content) -> Iterator[str]:
    entries = entry_nodes(content)
    if not entries:
        yield "nodes: no entry node, since every node has a repository; mark one with entry: true"
        return
    task_of = {model.name: model.task for model in content.models}
    repositories: dict[str, list[int]] = {task: [] for task in content.tasks}
    for v, node in enumerate(content.nodes):
        for task in {task_of[name] for name in node.repository or ()}:
            repositories[task].append(v)
    component = {v: c for c, members in enumerate(nx.connected_components(link_graph(content))) for v in members}
    for task, held in repositories.items():
        if not held:
            yield f"tasks: {shown(task)} has no repository; some node must list a model of it under repository"
            continue
        reached = {component[v] for v in held}
        for v in entries:
            if component[v] not in reached:
                yield f"links: no route from {shown(content.nodes[v].name)} to a repository of task {shown(task)}"
