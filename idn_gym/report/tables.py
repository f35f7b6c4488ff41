"""Rich tables of scenarios, networks and results, as the command line prints them for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from rich.table import Table

from idn_gym.experiment.bounds import bound_shares, dynamic_bound, static_bound
from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.metrics import Summary
from idn_gym.experiment.result import Result
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario
from idn_gym.scenario.schema import Model

_SHARES = {"of_bound": "gain of bound", "of_dynamic_bound": "gain of dynamic"}  # key -> column
SIZES = ("V", "M", "P", "R", "K")
_OF_A_RUN = {"agent", "seed", "slots", "seconds", "static_bound"} | {field.name for field in fields(Summary)}


def sizes(network: Network) -> dict[str, int]:
    """The lengths of the axes: nodes, models, placements, request types, and options of the type with the most."""
    options = 1 + int(np.diff(network.service.terms.start).max(initial=0))  # a repository's, behind the placements
    return dict(zip(SIZES, (network.V, network.M, network.P, network.R, options), strict=True))


def scenarios(rows: Sequence[tuple[str, str, Network]]) -> Table:
    """Packaged scenarios: id, name, network."""
    table = _table("packaged scenarios", "id", "name", *SIZES, "horizon")
    for env_id, name, network in rows:
        lengths = [f"{length:,}" for length in sizes(network).values()]
        table.add_row(env_id, name, *lengths, str(network.scenario.horizon))
    return table


def nodes(network: Network) -> Table:
    """Nodes by tier: how many, processor, budget, and how many of the models they may hold fit at all."""
    table = _table("nodes", "tier", "nodes", "processor", "budget MB", "placements", "fit")
    kinds: dict[tuple[int, str, float], list[int]] = {}
    for v, node in enumerate(network.scenario.nodes):
        kinds.setdefault((int(network.tiers[v]), node.processor, node.budget), []).append(v)
    for (tier, processor, budget), members in sorted(kinds.items()):
        names = ", ".join(network.node_names[v] for v in members[:4]) + (", ..." if len(members) > 4 else "")
        first = slice(network.node_start[members[0]], network.node_start[members[0] + 1])
        fitting = network.fits[first]
        table.add_row(
            str(tier), f"{len(members)}: {names}", processor, f"{budget:g}", str(fitting.size), str(fitting.sum())
        )
    return table


def models(scenario: Scenario) -> Table:
    """The variants; those that differ in their task alone share a row."""
    table = _table("models", "model", "accuracy", "processor", "size MB", "delay ms", "requests/s")
    variants: dict[str, list[Model]] = {}
    for model in scenario.models:
        variant = model.model_dump(exclude={"name", "task"})
        variants.setdefault(f"{model.variant} {variant}", []).append(model)
    for same in variants.values():
        of = same[0].task if len(same) == 1 else f"{len(same)} tasks"
        for i, (processor, profile) in enumerate(same[0].profiles.items()):
            first = (f"{same[0].variant} ({of})", f"{same[0].accuracy:g}") if i == 0 else ("", "")
            table.add_row(*first, processor, f"{profile.size:g}", f"{profile.delay:g}", f"{profile.throughput:g}")
    return table


def request_types(network: Network, most: int = 12) -> Table:
    """Request types: service, path, options and the span of their costs."""
    table = _table(f"request types ({network.R})", "service", "path", "options", "best ms", "repository ms")
    for rho in range(min(network.R, most)):
        path = " > ".join(network.node_names[v] for v in network.paths[rho] if v >= 0)
        options, best, repository = network.service.ways(rho)
        table.add_row(network.type_names[rho][0], path, str(options), f"{best:.2f}", f"{repository:.2f}")
    if most < network.R:
        table.add_row("...", f"and {network.R - most} more", "", "", "")
    return table


def provenance(scenario: Scenario) -> Table:
    """Where each figure comes from."""
    table = _table("provenance", "key", "source")
    for key, text in scenario.provenance.items():
        table.add_row(key, text)
    return table


def evaluation(document: dict[str, Any]) -> Table:
    """What one allocation makes of each slot of a trace."""
    table = _table("evaluation", "slot", "requests", "gain ms", "cost ms", "latency ms", "inaccuracy pp")
    for row in [*document["slots"], {**document, "slot": "all", "requests": ""}]:
        figures = [f"{row[key]:,.3f}" for key in ("gain", "cost", "latency_ms", "inaccuracy")]
        requests = f"{row['requests']:,g}" if row["slot"] != "all" else ""
        table.add_row(str(row["slot"]), requests, *figures)
    table.caption = (
        f"NTAG {document['ntag']:.3f} ms; gain and cost summed over requests, latency and inaccuracy per request"
    )
    return table


def results(rows: Sequence[Result], title: str) -> Table:
    """The comparison of agents; with each one's share of the bounds in hindsight, where those were proven."""
    bounds = {"of_bound": static_bound(rows), "of_dynamic_bound": dynamic_bound(rows)}
    columns = ["agent", "NTAG ms", "latency ms", "inaccuracy pp", "updates MB/slot", "seconds"]
    if any(result.summary.fractional_ntag is not None for result in rows):
        columns.insert(2, "fractional")
    columns[2:2] = [_SHARES[key] for key, bound in bounds.items() if bound]
    table = _table(title, *columns)
    for result in sorted(rows, key=lambda result: -result.summary.gain):
        summary = result.summary
        cells = {
            "agent": str(result.agent) + (" *" if result.hindsight else ""),
            "NTAG ms": f"{summary.ntag:.3f}",
            "fractional": "" if summary.fractional_ntag is None else f"{summary.fractional_ntag:.3f}",
            "latency ms": f"{summary.latency_ms:.2f}",
            "inaccuracy pp": f"{summary.inaccuracy:.2f}",
            "updates MB/slot": f"{summary.model_update_mb:,.0f}",
            "seconds": f"{result.seconds:.2f}",
        } | {_SHARES[key]: f"{share:.2%}" for key, share in bound_shares(result, rows).items()}
        table.add_row(*(cells[column] for column in columns))
    table.caption = "* in hindsight: has seen the whole stream"
    if bounds["of_bound"]:
        table.caption += (
            f"\ngain of bound: total gain over {bounds['of_bound']:.6g} ms, certified: no static allocation exceeds it,"
            " an online agent may\nNTAG weighs slots alike, total gain requests: the two may order agents differently"
        )
    else:
        table.caption += "\nwith --agent optimum: each one's share of a certified bound on static allocations"
    if bounds["of_dynamic_bound"]:
        dynamic = f"{bounds['of_dynamic_bound']:.6g} ms"
        table.caption += f"\ngain of dynamic: total gain over {dynamic}, for allocations that change by phase"
    return table


def sweep(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """The runs of a sweep, averaged over seeds: a row per agent and setting, with 95% intervals."""
    labels = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in _OF_A_RUN]
    figures = {"NTAG ms": "ntag", "latency ms": "latency_ms", "inaccuracy pp": "inaccuracy"}
    table = _table(title, *labels, "agent", "seeds", *figures, "updates MB/slot")
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str([row["agent"], *(row.get(label) for label in labels)]), []).append(row)
    for same in groups.values():
        cells = [str(same[0].get(label, "")) for label in labels]
        for key in figures.values():
            interval = mean_interval([row[key] for row in same])
            spread = f" ± {interval.high - interval.mean:.2f}" if len(same) > 1 else ""
            cells.append(f"{interval.mean:.2f}{spread}")
        updates = sum(row["model_update_mb"] for row in same) / len(same)
        cells[len(labels) : len(labels)] = [same[0]["agent"], str(len(same))]
        table.add_row(*cells, f"{updates:,.0f}")
    table.caption = "± half the 95% interval of the mean over seeds"
    return table


def checks(document: dict[str, Any]) -> Table:
    """The claims of a figure and what came of them; see `idn_gym.reproduce`."""
    table = _table(f"{document['figure']}: {document['title']}", "claim", "outcome", "evidence")
    for column in table.columns:
        column.justify, column.no_wrap, column.overflow = "left", False, "fold"
    for check in document["checks"]:
        table.add_row(check["claim"], check["outcome"], check["evidence"])
    table.caption = f"{document['runs']} runs of {document['slots']} slots; 95% confidence, paired over seeds"
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for index, column in enumerate(columns):
        text = column in ("agent", "id", "name", "nodes", "processor", "model", "service", "path", "key", "source")
        table.add_column(
            column, justify="left" if text else "right", overflow="fold" if index else "ellipsis", no_wrap=not index
        )
    return table
