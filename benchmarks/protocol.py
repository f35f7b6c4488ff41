"""What the distributed protocol of INFIDA sends, and what lost and late messages cost: the tables of docs/protocol.md.

    python benchmarks/protocol.py [--slots 300] [--seeds 3] [--traffic NAME ...] [--faults NAME ...] [--output FILE]

Prints Markdown: messages and bytes per slot, per scenario; then NTAG under loss and delay, mean over seeds. What a
fault costs is against `infida` on the same stream and draws, plus or minus the standard deviation between seeds. The
output has both parts; one without names stays as it is there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from stored import store

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

TRAFFIC = ("tiny", "topology-2-sliding", "abilene-sliding", "topology-1-sliding")
FAULTS = ("topology-2-sliding", "topology-2-bursty", "topology-1-sliding")
LOSSES, LOSSES_WHEN_LATE = (0.0, 0.01, 0.1, 0.5), (0.0, 0.1)
DELAYS = (1, 5)


def traffic(name: str, slots: int, seeds: int) -> dict[str, Any]:
    """What is sent in a slot on average, in all and by kind, and how many slots are simulated per second."""
    network = Network.compile(load_scenario(name))
    play(network, draw(network, 2, 0), AgentSpec("infida-distributed"), 0)  # compiles
    runs, seconds = [], []
    for seed in range(seeds):
        trace, began = draw(network, slots, seed), time.process_time()
        runs.append(play(network, trace, AgentSpec("infida-distributed"), seed))
        seconds.append(time.process_time() - began)
    kinds = {
        f"{kind}_per_slot": statistics.mean(run.info["by_kind"][kind]["messages_per_slot"] for run in runs)
        for kind in runs[0].info["by_kind"]
    }
    return {
        "scenario": name,
        "types": network.R,
        "hops": int((network.paths >= 0).sum()) - network.R,
        **kinds,
        **{key: statistics.mean(run.info[key] for run in runs) for key in ("messages_per_slot", "bytes_per_slot")},
        "set_up": runs[0].info["set_up"],
        "slots_per_cpu_second": slots / statistics.median(seconds),
    }


def traffic_table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line per scenario."""
    lines = [
        "| scenario | types | hops of all paths | counts | offers | prices | messages per slot | kB per slot "
        "| set-up, once | slots simulated per CPU second |",
        "|---" * 10 + "|",
    ]
    for row in rows:
        counts = [f"{row[key]:.0f}" for key in ("count_per_slot", "offers_per_slot", "price_per_slot")]
        set_up = f"{row['set_up']['messages']} messages, {row['set_up']['bytes'] / 1e3:.1f} kB"
        cells = [row["scenario"], str(row["types"]), str(row["hops"]), *counts, f"{row['messages_per_slot']:.0f}"]
        cells += [f"{row['bytes_per_slot'] / 1e3:.1f}", set_up, f"{row['slots_per_cpu_second']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def faults(name: str, slots: int, seeds: int) -> list[dict[str, Any]]:
    """One row per seed and fault, with what it costs against the protocol without faults on the same stream."""
    network = Network.compile(load_scenario(name))
    cases: list[dict[str, Any]] = [{"loss": loss, "delay": 0} for loss in LOSSES]
    cases += [{"loss": loss, "delay": delay} for delay in DELAYS for loss in LOSSES_WHEN_LATE]
    cases += [{"loss": loss, "delay": 0, "unheard": "nothing"} for loss in LOSSES[1:]]
    cases += [{"loss": 0.5, "delay": 0, "scale": 0.1}, {"loss": 1.0, "delay": 0}]
    rows = []
    for seed in range(seeds):
        trace = draw(network, slots, seed)
        best = play(network, trace, AgentSpec("infida"), seed).summary.ntag
        for case in cases:
            summary = play(network, trace, AgentSpec("infida-distributed", case), seed).summary
            rows.append(
                {"scenario": name, "seed": seed, "unheard": "last", "scale": 1.0}
                | case
                | {"ntag": summary.ntag, "cost": best - summary.ntag, "fractional_ntag": summary.fractional_ntag}
            )
        print(f"{name}, seed {seed}: done", file=sys.stderr)
    return rows


def faults_table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line per fault, one column per scenario."""
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    fields = ("loss", "delay", "unheard", "scale")
    lines = [f"| {' | '.join([*fields, *scenarios])} |", "|---" * (len(fields) + len(scenarios)) + "|"]
    for case in dict.fromkeys(tuple((key, row[key]) for key in fields) for row in rows):
        loss, *others = dict(case).values()
        cells = [f"{100 * loss:g} %", *(f"{value}" for value in others)]
        for name in scenarios:
            of_case = [row for row in rows if (dict(case) | {"scenario": name}).items() <= row.items()]
            ntag, cost, fractional = ([row[key] for row in of_case] for key in ("ntag", "cost", "fractional_ntag"))
            spread = f" ± {statistics.stdev(cost):.2f}" if len(cost) > 1 else ""
            costs = f"{statistics.mean(cost):+.2f}{spread}"
            cells.append(f"{statistics.mean(ntag):.2f} ({costs}) / {statistics.mean(fractional):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run, print the tables, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--traffic", nargs="*", default=TRAFFIC)
    parser.add_argument("--faults", nargs="*", default=FAULTS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    about = f"{options.slots} slots, seeds 0 to {options.seeds - 1}"
    sent = [traffic(name, options.slots, options.seeds) for name in options.traffic]
    if sent:
        print(f"\n**Messages**, {about}\n\n{traffic_table(sent)}", flush=True)
    lost = []
    for name in options.faults:
        lost += faults(name, options.slots, options.seeds)
    if lost:
        print(f"\n**NTAG (what the fault costs) / fractional NTAG**, ms, {about}\n\n{faults_table(lost)}", flush=True)
    if options.output:
        for part, rows in {"traffic": sent, "faults": lost}.items():
            if rows:
                store(options.output, {"slots": options.slots, "seeds": options.seeds, "rows": rows}, part)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown of the parts that are there."""
    shown = {"traffic": traffic_table, "faults": faults_table}
    return {part: show(document[part]["rows"]) for part, show in shown.items() if part in document}


if __name__ == "__main__":
    main()
