"""Small random scenarios with chains, and what they cost by enumeration: every route, then a linear program over them.

Written from the format's description, over dictionaries keyed by names; shares no code with the library.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array


class Way(NamedTuple):
    """A route of a service along a path."""

    cost: float  # weighted
    latency: float
    inaccuracy: float
    uses: tuple[tuple[int, str, str], ...]  # stage, node, model of what is placed; repository models are not listed


def chain_scenario(seed: int, stages: int = 3) -> dict[str, Any]:
    """A tree of a cloud, an office and two stations; services of one to three stages with all that a chain may have."""
    draw = np.random.default_rng(seed)

    def figure(low: float, high: float) -> float:
        return round(float(draw.uniform(low, high)), 3)

    tasks = [f"t{i}" for i in range(3)]
    models: list[dict[str, Any]] = []
    for i, task in enumerate(tasks):
        for n in range(int(draw.integers(1, 4))):
            model: dict[str, Any] = {"name": f"{task}/m{n}", "task": task, "accuracy": figure(50, 95)}
            if draw.random() < 0.7:
                model["output_mb"] = figure(0, 0.5)
            if draw.random() < 0.5:
                model["trips"] = figure(0, 2)
            if i and n and draw.random() < 0.5:  # the first of a task follows any
                before = [other["name"] for other in models if other["task"] == tasks[i - 1]]
                model["after"] = [str(draw.choice(before))]
            runs_on = ("edge", "cloud") if draw.random() < 0.8 or n == 0 else ("cloud",)
            model["profiles"] = {
                processor: {"size": figure(1, 4), "delay": figure(0, 40), "throughput": figure(1, 40),
                            "price": figure(0, 2)}
                for processor in runs_on
            }  # fmt: skip
            models.append(model)
    middle = [m["name"] for m in models if "edge" in m["profiles"] and draw.random() < 0.2]
    nodes = [
        {"name": "cloud", "processor": "cloud", "budget": 0.0, "repository": [m["name"] for m in models]},
        {"name": "co", "processor": "edge", "budget": figure(2, 9)} | ({"repository": middle} if middle else {}),
        {"name": "b0", "processor": "edge", "budget": figure(1, 7)},
        {"name": "b1", "processor": "edge", "budget": figure(1, 7)},
    ]
    links = []
    for source, target in (("co", "cloud"), ("b0", "co"), ("b1", "co")):
        link: dict[str, Any] = {"source": source, "target": target, "latency": figure(0, 40)}
        links.append(link | ({"bandwidth": figure(5, 50)} if draw.random() < 0.7 else {}))
    services = []
    for n in range(4):
        length = int(draw.integers(1, stages + 1))
        first = int(draw.integers(0, 4 - length))
        service: dict[str, Any] = {"name": f"s{n}", "stages": tasks[first : first + length], "input_mb": figure(0, 2)}
        if n == 3 and stages > 1:
            service["stages"] = [tasks[0], tasks[0]]  # the same task twice
        if draw.random() < 0.5:
            service["weight"] = figure(0.5, 3)
        if draw.random() < 0.5:
            service["priority"] = int(draw.integers(0, 3))
        if draw.random() < 0.5:
            service["accuracy_weights"] = [figure(0, 2) for _ in service["stages"]]
        if draw.random() < 0.5:
            service["report_deadline_ms"] = figure(10, 150)
        services.append(service)
    requests = [
        {"service": service["name"], "path": [entry, "co", "cloud"]} for service in services for entry in ("b0", "b1")
    ]
    return {
        "format": "idn-gym/scenario-1", "name": f"chains-{seed}", "slot_seconds": 1.0,
        "accuracy_weight": figure(0, 2), "price_weight": float(draw.choice([0.0, 1e5])),
        "tasks": tasks, "models": models, "nodes": nodes, "links": links, "services": services, "requests": requests,
    }  # fmt: skip


def ways(data: dict[str, Any], request: dict[str, Any]) -> list[Way]:
    """Every route of a request type."""
    service = next(s for s in data["services"] if s["name"] == request["service"])
    stages, path = service["stages"], request["path"]
    nodes = {node["name"]: node for node in data["nodes"]}
    links = {frozenset((link["source"], link["target"])): link for link in data["links"]}
    factors = service.get("accuracy_weights", [1.0] * len(stages))

    def moved(here: int, there: int, trips: float, mb: float) -> float:
        hops = [links[frozenset(path[j : j + 2])] for j in range(here, there)]
        return sum(trips * hop["latency"] + (1000 * mb / hop["bandwidth"] if "bandwidth" in hop else 0) for hop in hops)

    def served(stage: int) -> Iterator[tuple[int, dict[str, Any], bool]]:
        for j, name in enumerate(path):
            for model in data["models"]:
                if model["task"] == stages[stage] and nodes[name]["processor"] in model["profiles"]:
                    yield j, model, model["name"] in nodes[name].get("repository", ())

    found = []
    for choice in itertools.product(*(list(served(stage)) for stage in range(len(stages)))):
        latency = inaccuracy = 0.0
        at, trips, mb = 0, 1.0, service.get("input_mb", 0.0)
        before = None
        for stage, (j, model, _) in enumerate(choice):
            if j < at or (before is not None and before not in model.get("after", [before])):
                break
            latency += moved(at, j, trips, mb) + model["profiles"][nodes[path[j]]["processor"]]["delay"]
            inaccuracy += factors[stage] * (100.0 - model["accuracy"])
            at, trips, mb = j, model.get("trips", 1.0), model.get("output_mb", 0.0)
            before = model["name"]
        else:
            cost = service.get("weight", 1.0) * (latency + data["accuracy_weight"] * inaccuracy)
            uses = tuple((s, path[j], model["name"]) for s, (j, model, own) in enumerate(choice) if not own)
            found.append(Way(cost, latency, inaccuracy, uses))
    return found


def shares(data: dict[str, Any], requests: dict[tuple[str, str], float]) -> dict[tuple[str, str, str], float]:
    """Share of (service, node, model): what the classes above have left of its throughput, over what its own asks."""
    services = {service["name"]: service for service in data["services"]}
    found = {}
    for node in data["nodes"]:
        for model in data["models"]:
            if node["processor"] not in model["profiles"]:
                continue
            by_class: dict[int, float] = {}
            for request in data["requests"]:
                service = services[request["service"]]
                if node["name"] in request["path"]:
                    asked = requests[request["service"], request["path"][0]] * service["stages"].count(model["task"])
                    priority = service.get("priority", 0)
                    by_class[priority] = by_class.get(priority, 0.0) + asked
            capacity = model["profiles"][node["processor"]]["throughput"] * data["slot_seconds"]
            for service in services.values():
                own = service.get("priority", 0)
                left = capacity - sum(asked for priority, asked in by_class.items() if priority > own)
                asked = by_class.get(own, 0.0)
                found[service["name"], node["name"], model["name"]] = min(1.0, max(0.0, left) / asked) if asked else 1.0
    return found


def least_cost(routes: list[Way], limit: dict[tuple[int, str, str], float]) -> float:
    """Cost of a unit over routes, where what is placed carries no more than its limit per stage."""
    used = sorted({use for way in routes for use in way.uses})
    rows = np.array([[use in way.uses for way in routes] for use in used], dtype=float).reshape(len(used), len(routes))
    solved = linprog(
        [way.cost for way in routes],
        A_ub=rows if len(used) else None,
        b_ub=[limit.get(use, 0.0) for use in used] if len(used) else None,
        A_eq=np.ones((1, len(routes))),
        b_eq=[1.0],
    )
    return float(solved.fun)


def best_placement(data: dict[str, Any], batches: list[dict[tuple[str, str], float]]) -> tuple[float, dict[str, Any]]:
    """The most that placements held over all batches gain, net of their prices: one integer program over all routes.

    Returns
    -------
    Ms of net gain, and node -> models of one optimum.
    """
    sizes, held, budgets = {}, {}, {}
    for node in data["nodes"]:
        budgets[node["name"]] = node["budget"]
        for model in data["models"]:
            if node["processor"] in model["profiles"] and model["name"] not in node.get("repository", ()):
                profile = model["profiles"][node["processor"]]
                sizes[node["name"], model["name"]] = profile["size"]
                hours = len(batches) * data["slot_seconds"] / 3600
                held[node["name"], model["name"]] = data["price_weight"] * profile["price"] * hours
    placed = list(sizes)
    column = {place: n for n, place in enumerate(placed)}
    objective = [held[place] for place in placed]
    rows: list[dict[int, float]] = [{column[p]: sizes[p] for p in placed if p[0] == node} for node in budgets]
    upper = list(budgets.values())
    equal: list[dict[int, float]] = []
    alone = 0.0
    for batch in batches:
        share = shares(data, batch)
        for request in data["requests"]:
            r = batch[request["service"], request["path"][0]]
            if not r:
                continue
            routes = ways(data, request)
            alone += r * min(way.cost for way in routes if not way.uses)
            first = len(objective)
            objective += [r * way.cost for way in routes]
            equal.append({first + n: 1.0 for n in range(len(routes))})
            for use in {use for way in routes for use in way.uses}:
                row = {first + n: 1.0 for n, way in enumerate(routes) if use in way.uses}
                rows.append(row | {column[use[1:]]: -share[request["service"], use[1], use[2]]})
                upper.append(0.0)

    def matrix(entries: list[dict[int, float]]) -> csr_array:
        at = [(n, column) for n, row in enumerate(entries) for column in row]
        values = [value for row in entries for value in row.values()]
        return csr_array((values, tuple(zip(*at, strict=True))), shape=(len(entries), len(objective)))

    solved = milp(
        objective,
        integrality=np.arange(len(objective)) < len(placed),
        bounds=Bounds(0.0, 1.0),
        constraints=[LinearConstraint(matrix(rows), -np.inf, upper), LinearConstraint(matrix(equal), 1.0, 1.0)],
        options={"mip_rel_gap": 0.0},
    )
    chosen: dict[str, Any] = {}
    for node, model in np.array(placed, dtype=object)[np.asarray(solved.x)[: len(placed)] > 0.5]:
        chosen.setdefault(node, []).append(model)
    return alone - float(solved.fun), chosen
