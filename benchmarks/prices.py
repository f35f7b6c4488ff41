"""Gain against price: all agents where placements cost to hold, as the price of a unit of currency in ms goes up.

    python benchmarks/prices.py [--scenarios NAME ...] [--seeds 3] [--slots 300] [--output FILE.json]
        [--picture FILE.png]
    python benchmarks/prices.py --results FILE.json [--picture FILE.png]
    python benchmarks/prices.py --effects [--seeds 3] [--slots 300] [--output FILE.json]

`--scenarios` takes packaged scenarios, whose own price weight is swept by `FACTORS` where they have prices, and
`priced`: Topology II with sliding popularity, where every placement costs one unit of currency per GB and hour. Prints
Markdown tables, and a line for each scenario and factor where `infida-coordinated` is not above INFIDA and the online
greedies; the picture shows the fronts of the first scenario. With `--results` nothing is run: tables and picture come
from what was stored. With `--effects`: what each service of `sla-sliding` gets from the best static allocation, with
all its keys and without each in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stored import markdown, of, read, stamp, values, write

from idn_gym.common.figures import PALETTE, new_figure, save
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.scenario import Scenario, parse
from idn_gym.workload.stream import draw

FACTORS = (0.0, 0.1, 1.0, 3.0, 10.0)
AGENTS = (
    "optimum:gap=0.01,time_limit=20",
    "static-greedy",
    "infida-offline",
    "infida-coordinated",
    "last-batch-greedy",
    "load-aware-greedy",
    "infida",
    "random",
)
BEST = "optimum:gap=0.001,time_limit=60"  # of what keys do, which is less than a percent of the gain
RIVALS = ("infida", "last-batch-greedy", "load-aware-greedy")
SERVICES = ("interactive", "standard", "background")  # of `sla-sliding`, for every task in this order
KEYS = ("priority", "weight", "deadline_ms", "accuracy_weights")
Row = dict[str, Any]


def scenario_of(name: str) -> Scenario:
    """A packaged scenario, or the variant of Topology II that is made here."""
    if name != "priced":
        return load_scenario(name)
    data = load_scenario("topology-2-sliding").to_dict()
    for model in data["models"]:
        for profile in model["profiles"].values():
            profile["price"] = profile["size"] / 1000.0
    # at this weight full nodes cost 11 % of all that they gain
    return parse({**data, "name": name, "price_weight": 6e5}, name)


def measured(name: str, slots: int, seeds: int) -> list[Row]:
    """One row per factor, seed and agent."""
    base, rows = scenario_of(name).to_dict(), []
    for factor in FACTORS if base.get("price_weight") else (1.0,):
        scenario = parse(
            {**base, "price_weight": factor * base["price_weight"]} if "price_weight" in base else base, name
        )
        network = Network.compile(scenario)
        for seed in range(seeds):
            trace = draw(network, slots, seed)
            for agent in AGENTS:
                result = play(network, trace, AgentSpec.parse(agent), seed)
                row = {"scenario": name, "factor": factor, "seed": seed, "requests": float(trace.requests.sum())}
                rows.append(row | result.row())
                if result.table.fractional_gain is not None and result.fractional is not None:
                    paid = slots * float(network.holding @ result.fractional)
                    rows[-1]["state_net"] = float(result.table.fractional_gain.sum()) - paid
                print(f"{name}, factor {factor:g}, seed {seed}: {agent}", file=sys.stderr)
    return rows


def effects(slots: int, seeds: int) -> list[Row]:
    """One row per key left out and seed: latency, inaccuracy and the share late of each service, in their order."""
    data = load_scenario("sla-sliding").to_dict()
    deadline = data["services"][0]["deadline_ms"]
    rows = []
    for without in ("", *KEYS):
        kept = [{key: value for key, value in service.items() if key != without} for service in data["services"]]
        network = Network.compile(parse({**data, "services": kept}, "sla-sliding"))
        for seed in range(seeds):
            each = _by_service(network, slots, seed, deadline).tolist()
            rows.append({"without": without, "seed": seed, "deadline_ms": deadline, "services": each})
    return rows


def _effects_table(rows: list[Row]) -> str:
    """Latency in ms and inaccuracy in points of each service, and the share of interactive requests late; means."""
    lines = []
    for without in values(rows, "without"):
        mean = np.mean([row["services"] for row in of(rows, without=without)], axis=0)
        cells = [f"{latency:.1f} ms, {inaccuracy:.1f} pp" for latency, inaccuracy, _ in mean]
        lines.append([f"without {without}" if without else "all", *cells, f"{100.0 * mean[0, 2]:.1f}"])
    late = f"{SERVICES[0]} later than {rows[0]['deadline_ms']:g} ms, %"
    return markdown(("", *SERVICES, late), lines)


def _by_service(network: Network, slots: int, seed: int, deadline: float) -> np.ndarray:
    """(services, 3): latency, inaccuracy, and the share later than the deadline, per request."""
    trace, service = draw(network, slots, seed), RankedService.of(network.service, "benchmarks/prices.py")
    changes = dict(play(network, trace, AgentSpec.parse(BEST), seed).changes)
    latency, plain = service.option_latencies, service.option_inaccuracies / service.accuracy_weights[:, None]
    held, kind = np.zeros(network.P), np.arange(network.R) % len(SERVICES)
    sums, requests = np.zeros((len(SERVICES), 3)), np.zeros(len(SERVICES))
    for t, batch in enumerate(trace.requests):
        held = changes.get(t, held)
        served = service.requests_served(batch, held, service.potential_capacities(batch, trace.capacities_at(t)))
        figures = [(served * of).sum(axis=1) for of in (latency, plain, latency > deadline)]
        np.add.at(sums, kind, np.stack(figures, axis=1))
        np.add.at(requests, kind, batch)
    return sums / requests[:, None]


def net(row: Row) -> float:
    """Ms of net gain per request, which is the gain where nothing has a price."""
    return float(row.get("net", row["gain"]) / row["requests"])


class Measure(NamedTuple):
    """What a table shows."""

    title: str
    of: Callable[[Row], float | None]
    digits: int


def _share(key: str, per: str, scale: float = 1.0) -> Callable[[Row], float | None]:
    return lambda row: scale * row[key] / (row[per] if per else 1.0) if row.get(key) is not None else None


MEASURES = {
    "net": Measure("net gain, ms per request", net, 2),
    "state": Measure("net gain of the fractional state, ms per request", _share("state_net", "requests"), 2),
    "price": Measure("currency per hour", _share("price_per_hour", ""), 2),
    "missed": Measure("requests that missed their deadline, %", _share("missed", "", 100.0), 1),
}


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario and measure; of a scenario that has no prices one table of all measures."""
    if "effects" in document:
        return {"effects": _effects_table(document["effects"])}
    found = {}
    for name in values(document["rows"], "scenario"):
        rows = of(document["rows"], scenario=name)
        shown = {key: measure for key, measure in MEASURES.items() if any(measure.of(row) is not None for row in rows)}
        factors = values(rows, "factor")
        if len(factors) == 1:
            columns = {measure.title: (measure, factors[0]) for measure in shown.values()}
            found[name] = _table(rows, name, columns)
            continue
        for key, measure in shown.items():
            columns = {f"x {factor:g}": (measure, factor) for factor in factors}
            found[f"{name} {key}"] = _table(rows, f"{name}: {measure.title}", columns)
    return found


def _table(rows: list[Row], title: str, columns: dict[str, tuple[Measure, float]]) -> str:
    """A line per agent; mean plus or minus the standard deviation between seeds."""
    lines = []
    for agent in AGENTS:
        cells = []
        for measure, factor in columns.values():
            each = [value for row in _of(rows, agent, factor) if (value := measure.of(row)) is not None]
            spread = f" ± {statistics.stdev(each):.{measure.digits}f}" if len(each) > 1 else ""
            cells.append(f"{statistics.mean(each):.{measure.digits}f}{spread}" if each else "")
        if any(cells):
            star = " *" if getattr(AgentSpec.parse(agent).make(), "hindsight", False) else ""
            lines.append([f"`{agent.partition(':')[0]}`{star}", *cells])
    return markdown([title, *columns], lines)


def exceptions(rows: list[Row], name: str) -> list[str]:
    """Where `infida-coordinated` is not above a rival, on average over seeds."""
    found, rows = [], of(rows, scenario=name)
    for factor in values(rows, "factor"):
        each = {agent: [net(row) for row in _of(rows, agent, factor)] for agent in AGENTS}
        own = statistics.mean(each["infida-coordinated"])
        found += [
            f"{name} x {factor:g}: infida-coordinated {own:.2f}, {rival} {statistics.mean(each[rival]):.2f}"
            for rival in RIVALS
            if statistics.mean(each[rival]) > own
        ]
    return found


def picture(rows: list[Row], path: Path) -> None:
    """The fronts: gain per request against currency per hour, a line per agent through the factors."""
    figure = new_figure(760, 460, 150, layout="constrained")
    axes = figure.add_subplot()
    for colour, agent in zip(PALETTE, AGENTS, strict=False):
        points = []
        for factor in values(rows, "factor"):
            each = _quantities(_of(rows, agent, factor))
            means = [statistics.mean(row[key] / per for row, per in pairs) for key, pairs in each]
            points.append(means)
        axes.plot(*zip(*points, strict=True), marker="o", ms=4, color=colour, label=agent.partition(":")[0])
    axes.set_xlabel("price of what is held, currency per hour")
    axes.set_ylabel("gain, ms per request")
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _quantities(rows: list[Row]) -> list[tuple[str, list[tuple[Row, float]]]]:
    return [
        ("price_per_hour", [(row, 1.0) for row in rows]),
        ("gain", [(row, row["requests"]) for row in rows]),
    ]


def _of(rows: list[Row], agent: str, factor: float) -> list[Row]:
    return of(rows, agent=str(AgentSpec.parse(agent)), factor=factor)


def main() -> None:
    """Run, print the tables, write JSON and the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", nargs="+", default=["priced", "sla-sliding", "autoscale-burst", "access-4g"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=300)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--results", type=Path, help="stored results, in place of running")
    parser.add_argument("--effects", action="store_true", help="what each key of the services does, in place of prices")
    options = parser.parse_args()
    if options.effects:
        document = {**stamp(), "effects": effects(options.slots, options.seeds)}
        print(*tables(document).values())
        if options.output:
            write(options.output, document)
        return
    if options.results:
        rows = read(options.results)["rows"]
    else:
        rows = [row for name in options.scenarios for row in measured(name, options.slots, options.seeds)]
    names = values(rows, "scenario")
    print(*tables({"rows": rows}).values(), *(line for name in names for line in exceptions(rows, name)), sep="\n\n")
    if options.picture:
        picture(of(rows, scenario=names[0]), options.picture)
    if options.output:
        write(options.output, {**stamp(), "rows": rows})


if __name__ == "__main__":
    main()
