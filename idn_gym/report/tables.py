"""Tables of scenarios, networks and results, as the command line prints them for people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from idn_gym.experiment.bounds import bound_shares, dynamic_bound, law_aware_gain, static_bound, telling
from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.result import Result
from idn_gym.experiment.sweep import label_keys
from idn_gym.model.heterogeneity import Heterogeneity, heet
from idn_gym.model.network import Network
from idn_gym.report.layout import Cell, Column, Table, agent, names, words
from idn_gym.scenario import Scenario
from idn_gym.scenario.schema import Model, Profile

SIZES = {
    "V": "nodes",
    "M": "models",
    "P": "placements",
    "R": "request types",
    "K": "options of a request type, at most",
}
_NTAG = "NTAG: gain per request, against repositories alone; averaged over slots"
_HINDSIGHT = "* in hindsight: has seen the whole stream, or knows its law"
_SPREAD = "± half the width of the 95% interval of the mean over seeds"
_YARDSTICKS = {  # key of a share -> its column, and what the share is of
    "of_bound": ("gain of bound", "what is certified that no static allocation exceeds; online agents may"),
    "of_dynamic_bound": ("gain of dynamic", "what is certified of allocations that change by phase"),
    "of_law_aware": ("gain of law-aware", "what knowing the law of the requests earns"),
}
LEGEND = names([f"{axis}: {about}" for axis, about in SIZES.items()])


def sizes(network: Network) -> dict[str, int]:
    """The lengths of the axes: nodes, models, placements, request types, and options of the type with the most."""
    options = 1 + int(np.diff(network.service.terms.start).max(initial=0))  # a repository's, behind the placements
    return dict(zip(SIZES, (network.V, network.M, network.P, network.R, options), strict=True))


def scenarios(rows: Sequence[tuple[str, str, Network]]) -> Table[Any]:
    """Packaged scenarios: id, name, network."""

    def size(axis: str) -> Column[tuple[str, str, Network]]:
        return Column(axis, lambda row: f"{sizes(row[2])[axis]:,}", rank=2)

    columns = [
        Column[tuple[str, str, Network]]("id", lambda row: row[0], left=True),
        Column("name", lambda row: row[1], left=True, rank=1),
        *map(size, SIZES),
        Column("horizon slots", lambda row: f"{row[2].scenario.horizon:,}", rank=3),
    ]
    return Table("packaged scenarios", columns, rows, [LEGEND])


def nodes(network: Network) -> Table[Any]:
    """Nodes by tier: how many, processor, budget, and how many of the models they may hold fit at all."""
    kinds: dict[tuple[int, str, float], list[int]] = {}
    for v, node in enumerate(network.scenario.nodes):
        kinds.setdefault((int(network.tiers[v]), node.processor, node.budget), []).append(v)

    def some(members: Sequence[int]) -> Cell:
        few = names([*(network.node_names[v] for v in members[:4]), *["..."] * (len(members) > 4)])
        return [f"{len(members)}: {few[0]}", *few[1:]]

    def fits(members: Sequence[int]) -> Any:
        return network.fits[slice(network.node_start[members[0]], network.node_start[members[0] + 1])]

    columns = [
        Column[tuple[tuple[int, str, float], list[int]]]("tier", lambda row: str(row[0][0])),
        Column("nodes", lambda row: some(row[1]), left=True),
        Column("processor", lambda row: row[0][1], left=True, rank=1),
        Column("budget MB", lambda row: f"{row[0][2]:,g}"),
        Column("placements", lambda row: f"{fits(row[1]).size:,}", rank=3),
        Column("of them fit", lambda row: f"{fits(row[1]).sum():,}", rank=2),
    ]
    return Table("nodes", columns, sorted(kinds.items()))


def models(scenario: Scenario) -> Table[Any]:
    """The variants; those that differ in their task alone share a row."""
    variants: dict[str, list[Model]] = {}
    for model in scenario.models:
        variant = model.model_dump(exclude={"name", "task"})
        variants.setdefault(f"{model.variant} {variant}", []).append(model)
    rows: list[tuple[list[Model] | None, str, Profile]] = []  # the models only in the first row of theirs
    for same in variants.values():
        for i, (processor, profile) in enumerate(same[0].profiles.items()):
            rows.append((None if i else same, processor, profile))

    def about(same: Sequence[Model]) -> Cell:
        return [f"{same[0].variant} ", f"({same[0].task if len(same) == 1 else f'{len(same)} tasks'})"]

    columns = [
        Column[tuple[list[Model] | None, str, Profile]](
            "model", lambda row: about(row[0]) if row[0] else None, left=True
        ),
        Column("accuracy %", lambda row: f"{row[0][0].accuracy:g}" if row[0] else None),
        Column("processor", lambda row: row[1], left=True),
        Column("size MB", lambda row: f"{row[2].size:,g}"),
        Column("delay ms", lambda row: f"{row[2].delay:g}", rank=2),
        Column("requests/s", lambda row: f"{row[2].throughput:,g}", rank=3),
    ]
    return Table("models", columns, rows)


def request_types(network: Network, most: int = 12) -> Table[Any]:
    """Request types: service, path, options and the span of their costs."""

    def path(rho: int) -> Cell:
        return names([network.node_names[v] for v in network.paths[rho] if v >= 0], " > ")

    asked = "task" if network.scenario.services is None else "service"
    ways = [network.service.ways(rho) for rho in range(min(network.R, most))]
    columns = [
        Column[int](asked, lambda rho: network.type_names[rho][0], left=True),
        Column("path", path, left=True),
        Column("options", lambda rho: f"{ways[rho][0]:,}", rank=1),
        Column("best ms", lambda rho: f"{ways[rho][1]:.2f}", rank=2),
        Column("repository ms", lambda rho: f"{ways[rho][2]:.2f}", rank=2),
    ]
    more = [f"and {network.R - most:,} more"] if most < network.R else []
    return Table(f"request types ({network.R:,})", columns, range(len(ways)), more)


def heterogeneity(found: Heterogeneity) -> Table[Any]:
    """HEET of a scenario: the times of each task over the nodes, and what has no model that is accurate enough."""
    columns = [
        Column[int]("task", lambda i: found.tasks[i], left=True),
        Column("HEET ms", lambda i: f"{heet(found.times[[i]]):.3f}"),
        Column("fastest ms", lambda i: f"{found.times[i].min():.3f}", rank=1),
        Column("slowest ms", lambda i: f"{found.times[i][np.isfinite(found.times[i])].max():.3f}", rank=1),
        Column("nodes", lambda i: f"{np.isfinite(found.times[i]).sum():,}", rank=2),
    ]
    floor = f" of an accuracy of {found.accuracy:g} % at least" if found.accuracy else ""
    captions: list[Cell] = [
        f"HEET {found.heet:.3f} ms, {found.per_machine:.3f} ms per node; over {len(found.tasks):,} tasks and "
        f"{len(found.nodes):,} nodes",
        f"a request at a node takes 1000 / throughput ms of the fastest model{floor} that it may hold",
    ]
    if gaps := int(np.isinf(found.times).sum()):
        captions.append(f"{gaps:,} of {found.times.size:,} pairs of task and node have no such model: a speed of 0")
    for what, without in (("tasks", found.tasks_without), ("nodes", found.nodes_without)):
        if without:
            some = [*without[:8], *([f"and {len(without) - 8:,} more"] if len(without) > 8 else [])]
            captions.append([f"left out, {what} without such a model: ", *names(some)])
    return Table("heterogeneity: HEET", columns, range(len(found.tasks)), captions)


def provenance(scenario: Scenario) -> Table[Any]:
    """Where each figure comes from."""
    columns = [
        Column[tuple[str, str]]("key", lambda row: row[0], left=True),
        Column("source", lambda row: words(row[1]), left=True),
    ]
    return Table("provenance", columns, scenario.provenance.items())


def evaluation(document: dict[str, Any]) -> Table[Any]:
    """What one allocation makes of each slot of a trace."""
    columns = [
        Column[dict[str, Any]]("slot", lambda row: str(row["slot"])),
        Column("requests", lambda row: None if row["slot"] == "all" else f"{row['requests']:,g}", rank=2),
        Column("gain ms", lambda row: f"{row['gain']:,.3f}"),
        Column("cost ms", lambda row: f"{row['cost']:,.3f}", rank=3),
        Column("latency ms", lambda row: f"{row['latency_ms']:,.3f}", rank=1),
        Column("inaccuracy pp", lambda row: f"{row['inaccuracy']:,.3f}", rank=1),
        Column("missed", lambda row: _figure(row.get("missed"), ".2%"), rank=1),
        Column("price/slot", lambda row: _figure(row.get("price_per_slot"), ",.4g"), rank=1),
    ]
    about = f"NTAG {document['ntag']:.3f} ms; gain and cost summed over requests, latency and inaccuracy per request"
    captions: list[Cell] = [about]
    if "net" in document:
        captions.append(f"net gain {document['net']:,.3f} ms, less price_weight x price of what is placed")
    return Table("evaluation", columns, [*document["slots"], {**document, "slot": "all"}], captions)


def services(rows: Sequence[dict[str, Any]], title: str) -> Table[Any]:
    """What serving came to by service; see `idn_gym.experiment.evaluation.by_service`."""
    columns = [
        Column[dict[str, Any]]("service", lambda row: row["service"], left=True),
        Column("requests", lambda row: f"{row['requests']:,g}", rank=2),
        Column("gain ms", lambda row: f"{row['gain']:,.0f}"),
        Column("latency ms", lambda row: f"{row['latency_ms']:,.2f}"),
        Column("inaccuracy pp", lambda row: f"{row['inaccuracy']:,.2f}"),
        Column("missed", lambda row: _figure(row.get("missed"), ".2%")),
    ]
    return Table(f"by service: {title}", columns, rows)


def results(rows: Sequence[Result], title: str) -> Table[Any]:
    """The comparison of agents; with each one's share of the yardsticks that were run beside it."""
    shares = {id(row): bound_shares(row, rows) for row in rows}
    told = telling(shares.values())
    columns = [
        Column[Result]("agent", lambda row: _agent(str(row.agent), row.hindsight), left=True),
        Column("NTAG ms", lambda row: f"{row.summary.ntag:.3f}"),
        *_shares(told, lambda key: lambda row: _figure(shares[id(row)].get(key), ".2%")),
        Column("fractional NTAG ms", lambda row: _figure(row.summary.fractional_ntag, ".3f"), rank=5),
        Column("net ms", lambda row: _figure(row.summary.net, ",.0f")),
        Column("price/h", lambda row: _figure(row.summary.price_per_hour, ",.4g"), rank=3),
        Column("missed", lambda row: _figure(row.summary.missed, ".2%"), rank=2),
        Column("latency ms", lambda row: f"{row.summary.latency_ms:.2f}", rank=3),
        Column("inaccuracy pp", lambda row: f"{row.summary.inaccuracy:.2f}", rank=3),
        Column("updates MB/slot", lambda row: f"{row.summary.model_update_mb:,.0f}", rank=4),
        Column("seconds", lambda row: f"{row.seconds:.2f}", rank=6),
    ]
    captions: list[Cell] = [_NTAG, *([_HINDSIGHT] if any(row.hindsight for row in rows) else [])]
    yardsticks = dict(zip(_YARDSTICKS, (static_bound(rows), dynamic_bound(rows), law_aware_gain(rows)), strict=True))
    gain = "gain" if all(row.summary.net is None for row in rows) else "net gain"
    captions += [
        f"{_YARDSTICKS[key][0]}: total {gain} over {yardsticks[key]:.6g} ms, {_YARDSTICKS[key][1]}" for key in told
    ]
    if told:
        captions.append("NTAG weighs slots alike, total gain requests: the two may order agents differently")
    else:
        captions.append("with --agent optimum: each one's share of a certified bound on static allocations")
    if "of_bound" in told and any(share["of_bound"] > 1.0 for share in shares.values()):
        captions.append("where popularity moves that bound flatters: --agent dynamic-optimum, or law-aware:delay=1")
    if gain == "net gain":
        captions.append("net: total gain less price_weight x price of what is placed")
    return Table(title, columns, sorted(rows, key=lambda row: -row.summary.worth), captions)


def sweep(rows: Sequence[dict[str, Any]], title: str) -> Table[Any]:
    """The runs of a sweep, averaged over seeds: a row per agent and setting, with 95% intervals."""
    varied = label_keys(rows)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str([row["agent"], *(row.get(key) for key in varied)]), []).append(row)

    def label(key: str) -> Column[list[dict[str, Any]]]:
        text = any(isinstance(row.get(key), str) for row in rows)
        return Column(key, lambda same: str(same[0].get(key, "")), left=text)

    def mean(key: str, form: str = ".2f") -> Callable[[list[dict[str, Any]]], str | None]:
        def cell(same: list[dict[str, Any]]) -> str | None:
            if not all(key in row for row in same):
                return None
            interval = mean_interval([row[key] for row in same])
            return _spread(interval.mean, interval.ends if len(same) > 1 else None, form)

        return cell

    columns = [
        *map(label, varied),
        Column[list[dict[str, Any]]]("agent", lambda same: _agent(same[0]["agent"]), left=True),
        Column("seeds", lambda same: str(len(same)), rank=3),
        Column("NTAG ms", mean("ntag")),
        *_shares(telling(rows), lambda key: mean(key, ".2%")),
        Column("latency ms", mean("latency_ms"), rank=1),
        Column("inaccuracy pp", mean("inaccuracy"), rank=1),
        *_of_services(mean),
        Column("updates MB/slot", lambda same: f"{np.mean([row['model_update_mb'] for row in same]):,.0f}", rank=2),
    ]
    several = any(len(same) > 1 for same in groups.values())
    captions = [_NTAG, *([_SPREAD] if several else []), *_about_shares(rows)]
    return Table(title, columns, groups.values(), captions, heads=len(varied) + 1)


def seeds(document: dict[str, Any], hindsight: Collection[str], title: str) -> Table[Any]:
    """The comparison of agents over several seeds.

    Parameters
    ----------
    document : what ``run --seeds --json`` prints.
    hindsight : the agents that have seen the streams beforehand.
    """

    def mean(key: str, form: str = ".2f") -> Callable[[dict[str, Any]], str | None]:
        return lambda row: _spread(row[key], row["intervals"].get(key), form) if key in row else None

    rows = sorted(document["agents"], key=lambda row: -row["ntag"])
    columns = [
        Column[dict[str, Any]]("agent", lambda row: _agent(row["agent"], row["agent"] in hindsight), left=True),
        Column("NTAG ms", mean("ntag", ".3f")),
        Column("behind ms", lambda row: None if row is rows[0] else mean("behind", ".3f")(row), rank=1),
        *_shares(telling(rows), lambda key: mean(key, ".2%"), 2),
        Column("fractional NTAG ms", mean("fractional_ntag", ".3f"), rank=6),
        Column("latency ms", mean("latency_ms"), rank=4),
        Column("inaccuracy pp", mean("inaccuracy"), rank=4),
        *_of_services(mean),
        Column("updates MB/slot", mean("model_update_mb", ",.0f"), rank=5),
        Column("seconds", lambda row: f"{row['seconds']:.2f}", rank=7),
    ]
    captions: list[Cell] = [_NTAG, *([_HINDSIGHT] if hindsight else [])]
    if len(document["seeds"]) > 1:
        captions.append(_SPREAD)
    if len(rows) > 1:
        captions.append("behind: NTAG less than that of the first agent, paired by seed")
    captions += _about_shares(rows)
    return Table(title, columns, rows, captions)


def checks(document: dict[str, Any]) -> Table[Any]:
    """The claims of a figure and what came of them; see `idn_gym.reproduce`."""
    columns = [
        Column[dict[str, Any]]("claim", lambda check: words(check["claim"]), left=True),
        Column("outcome", lambda check: words(check["outcome"]), left=True),
        Column("evidence", lambda check: words(check["evidence"]), left=True),
    ]
    about = f"{document['runs']} runs of {document['slots']} slots; 95% confidence, paired over seeds"
    if not document["streams"]:  # no sweep
        about = "figures of single runs, each on one stream"
    return Table(f"{document['figure']}: {document['title']}", columns, document["checks"], [about])


def _shares(
    told: Sequence[str], cell: Callable[[str], Callable[[Any], Cell | None]], rank: int = 1
) -> list[Column[Any]]:
    """Columns of the shares that are told, the first of this rank, from what makes a column's cells of its key."""
    return [Column(_YARDSTICKS[key][0], cell(key), rank=rank + (n > 0)) for n, key in enumerate(told)]


def _about_shares(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A caption for each share that is told."""
    return [f"{_YARDSTICKS[key][0]}: total gain over {_YARDSTICKS[key][1]}" for key in telling(rows)]


def _of_services(mean: Callable[..., Callable[[Any], Cell | None]]) -> list[Column[Any]]:
    """Columns of figures that only runs with prices or deadlines have."""
    return [
        Column("net ms", mean("net", ",.0f")),
        Column("price/h", mean("price_per_hour", ",.4g"), rank=3),
        Column("missed", mean("missed", ".2%"), rank=2),
    ]


def _figure(value: float | None, form: str) -> str | None:
    return None if value is None else format(value, form)


def _spread(mean: float, ends: Sequence[float] | None, form: str) -> str:
    """A mean with half the width of its interval, where there is one."""
    return f"{mean:{form}}" + (f" ± {(ends[1] - ends[0]) / 2.0:{form}}" if ends else "")


def _agent(text: str, hindsight: bool = False) -> Cell:
    pieces = agent(text)
    return [*pieces[:-1], pieces[-1] + " *" * hindsight]
