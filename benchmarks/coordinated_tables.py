"""Markdown tables and the picture of what `benchmarks/coordinated.py` stored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

Rows = list[dict[str, Any]]
OURS, WITHOUT = "infida-coordinated", "rolling-local-search"
ALONE = "infida-coordinated:rounding=coordinated"
COLUMNS = (OURS, WITHOUT, "last-batch-greedy", "load-aware-greedy", "infida", "static-greedy")


def mean_of(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95% interval; nan for the latter of one value."""
    n = len(values)
    if n < 2:
        return statistics.mean(values), math.nan
    return statistics.mean(values), float(student.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n)


def cell(values: Sequence[float], digits: int = 2, signed: bool = False) -> str:
    """Mean ± half width."""
    middle, half = mean_of(values)
    if math.isnan(half):
        return f"{middle:{'+' if signed else ''}.{digits}f}"
    return f"{middle:{'+' if signed else ''}.{digits}f} ± {half:.{digits}f}"


def by_seed(rows: Rows, case: str, agent: str, key: str = "ntag") -> dict[int, float]:
    """A figure by seed; of a greedy name, that of its best parameters."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        same = row["agent"] == agent if agent in (OURS, WITHOUT, ALONE) else row["agent"].partition(":")[0] == agent
        if row["case"] == case and same and row.get(key) is not None:
            found.setdefault(row["agent"], {})[row["seed"]] = row[key]
    if not found:
        return {}
    most = max(len(values) for values in found.values())  # the best one alone was played on every seed
    complete = {name: values for name, values in found.items() if len(values) == most}
    return max(complete.values(), key=lambda values: values[0])


def cases_of(rows: Rows) -> list[str]:
    """In the order stored."""
    return list(dict.fromkeys(row["case"] for row in rows))


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))


def print_tables(document: dict[str, Any]) -> None:
    """All parts that are there."""
    for part, show in SHOWN.items():
        if part in document:
            stored = document[part]
            took = f", {stored['seconds']:.0f} s" if "seconds" in stored else ""
            print(f"\n## {part}\n\n`{stored['command']}`, {stored['date']}{took}\n")
            show(stored["rows"])


def _rivals(rows: Rows) -> None:
    names = {agent: f"`{agent}`" for agent in COLUMNS} | {WITHOUT: f"`{WITHOUT}`"}

    def figures(title: str, key: str, scale: float, digits: int, agents: Sequence[str]) -> None:
        lines = []
        for case in cases_of(rows):
            cells = [list(by_seed(rows, case, agent, key).values()) for agent in agents]
            if any(cells):
                lines.append([case, *(cell([scale * v for v in values], digits) if values else "" for values in cells)])
        print(f"**{title}**\n\n{table(['', *(names[agent] for agent in agents)], lines)}\n")

    figures("NTAG, ms", "ntag", 1.0, 2, COLUMNS)
    print("**NTAG, difference of `infida-coordinated` to each, ms, paired**\n")
    lines = []
    for case in cases_of(rows):
        ours = by_seed(rows, case, OURS)
        cells = []
        for agent in COLUMNS[1:]:
            theirs = by_seed(rows, case, agent)
            cells.append(cell([ours[seed] - theirs[seed] for seed in ours], 2, signed=True))
        lines.append([case, *cells])
    print(table(["", *(names[agent] for agent in COLUMNS[1:])], lines))
    print()
    figures("Total gain, % of the certified static bound", "share_of_bound", 100.0, 2, COLUMNS)
    figures("GB loaded per slot", "model_update_mb", 1e-3, 2, COLUMNS)
    figures("NTAG of the state, ms", "fractional_ntag", 1.0, 2, (OURS, "infida"))
    print("**Parameters of the greedies that did best on seed 0**\n")
    for case in cases_of(rows):
        several = {
            row["agent"] for row in rows if row["case"] == case and row["seed"] == 1 and "greedy:" in row["agent"]
        }
        if several:
            print(f"- {case}: {', '.join(f'`{agent}`' for agent in sorted(several))}")


def _causal(rows: Rows) -> None:
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    for title, key, digits, scale in (
        ("NTAG, ms", "ntag", 2, 1.0),
        ("GB loaded per slot", "model_update_mb", 2, 1e-3),
        ("slots per CPU second, serving included", "slots_per_second", 0, 1.0),
    ):
        lines = []
        for case in cases_of(rows):
            cells = []
            for agent in agents:
                of = [row for row in rows if (row["case"], row["agent"]) == (case, agent)]
                values = [row["slots"] / row["cpu_seconds"] if key == "slots_per_second" else row[key] for row in of]
                if key == "slots_per_second":
                    cells.append(f"{statistics.median(values):.0f}")
                else:
                    cells.append(cell([scale * value for value in values], digits))
            lines.append([case, *cells])
        print(f"**{title}**\n\n{table(['', *(f'`{agent}`' for agent in agents)], lines)}\n")


def _grid(rows: Rows) -> None:
    lines = []
    for case in cases_of(rows):
        of = [row for row in rows if row["case"] == case]
        lines.append([case, *(cell([100.0 * row[bound] for row in of]) for bound in ("certified", "solver"))])
    print(table(["total gain, % of", "the certified bound", "the solver's"], lines))


def _rates(rows: Rows) -> None:
    names = list(rows[0]["ntag"])
    lines = []
    for condition in dict.fromkeys(row["condition"] for row in rows):
        ntag = {name: [row["ntag"][name] for row in rows if row["condition"] == condition] for name in names}
        best = max((name for name in names if name != "adaptive"), key=lambda name: statistics.mean(ntag[name]))
        difference = [a - b for a, b in zip(ntag["adaptive"], ntag[best], strict=True)]
        cells = [f"{statistics.mean(ntag[name]):.2f}" for name in names]
        lines.append([condition, *cells, f"{best}: {cell(difference, 2, signed=True)}"])
    print(table(["", *names, "adaptive less the best of the others"], lines))


def _variants(rows: Rows) -> None:
    cases = cases_of(rows)
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in rows):
        cells = []
        for case in cases:
            of = [row for row in rows if row["case"] == case and row["variant"] == variant]
            gigabytes = statistics.mean(row["model_update_mb"] for row in of) / 1e3
            cells.append(f"{cell([row['ntag'] for row in of])} ({gigabytes:.2f})")
        lines.append([f"`{variant}`" if variant != "defaults" else variant, *cells])
    print("NTAG, ms, and GB loaded per slot\n")
    print(table(["", *cases], lines))


def _adversaries(rows: Rows) -> None:
    horizons = sorted({row["slots"] for row in rows})
    for stream in dict.fromkeys(row["stream"] for row in rows):
        lines = []
        own = [row for row in rows if row["stream"] == stream]
        for agent in dict.fromkeys(row["agent"] for row in own):
            cells = []
            for slots in horizons:
                values = [row["regret"] for row in own if row["agent"] == agent and row["slots"] == slots]
                cells.append(cell(values, 1))
            lines.append([agent, *cells])
        bounds = [next(row["bound"] for row in own if row["slots"] == slots) for slots in horizons]
        lines.append(["bound on state regret", *(f"{bound:.1f}" for bound in bounds)])
        print(f"**Stream made for {stream}**; regret in slots' worth\n")
        print(table(["", *(f"T = {slots}" for slots in horizons)], lines))
        print()


def _speed(rows: Rows) -> None:
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    lines = []
    for case in cases_of(rows):
        found = {row["agent"]: row["slots_per_second"] for row in rows if row["case"] == case}
        lines.append([case, *(f"{found[agent]:.0f}" for agent in agents)])
    print(table(["slots/s", *(f"`{agent}`" for agent in agents)], lines))


SHOWN = {
    "grid": _grid,
    "causal": _causal,
    "rivals": _rivals,
    "rates": _rates,
    "variants": _variants,
    "adversaries": _adversaries,
    "speed": _speed,
}


def draw_picture(document: dict[str, Any], path: Path) -> None:
    """Left: what is earned against what is loaded. Right: regret on a stream made for coordination."""
    from idn_gym.common.colours import INK
    from idn_gym.common.figures import new_figure, save, style
    from idn_gym.report.look import looks

    figure = new_figure(1200, 520, 160, "constrained")
    left, right = figure.subplots(1, 2)
    rows = document["rivals"]["rows"]
    names = {OURS: "coordinated", WITHOUT: "rolling local search", "last-batch-greedy": "last-batch greedy"}
    names |= {"infida": "INFIDA", "static-greedy": "static greedy (hindsight)"}
    fills: dict[str, Any] = {"topology-1-fixed": "full", "topology-1-sliding": "left", "topology-1-bursty": "none"}
    look = looks([*names, ALONE])
    style(left, "GB loaded per slot", "% of the static bound", "Topology I, 7,500 requests/s")
    for agent, label in names.items():
        drawn: dict[str, Any] = {"marker": look[agent].marker, "color": look[agent].colour, "linestyle": "none"}
        for case, fill in fills.items():
            share = statistics.mean(by_seed(rows, case, agent, "share_of_bound").values())
            loaded = statistics.mean(by_seed(rows, case, agent, "model_update_mb").values())
            left.plot(loaded / 1e3, 100.0 * share, fillstyle=fill, markersize=7.5, label=label, **drawn)
    left.set_xscale("log")
    handles, labels = left.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    shapes = [
        left.plot([], [], "o", fillstyle=fill, color=INK, label=case.removeprefix("topology-1-"))[0]
        for case, fill in fills.items()
    ]
    shown = [first[label] for label in names.values()]
    left.legend(
        [*shown, *shapes],
        [*names.values(), *(case.removeprefix("topology-1-") for case in fills)],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    own = [row for row in document["adversaries"]["rows"] if row["stream"] == "coordinated, last batch"]
    horizons = np.array(sorted({row["slots"] for row in own}))
    style(right, "T (slots)", "regret (slots' worth)", "a stream made for coordination on the last batch")
    lines = {
        "coordinated": ("coordinated, unguarded", look[ALONE]),
        "guarded": ("coordinated, guarded", look[OURS]),
        "infida": ("INFIDA", look["infida"]),
    }
    for agent, (label, of) in lines.items():
        regret = [
            statistics.mean(row["regret"] for row in own if row["agent"] == agent and row["slots"] == slots)
            for slots in horizons
        ]
        right.plot(horizons, regret, color=of.colour, marker=of.marker, linestyle=of.line, markersize=5, label=label)
    bounds = [next(row["bound"] for row in own if row["slots"] == slots) for slots in horizons]
    right.plot(horizons, bounds, ":", color=INK, label="bound on state regret")
    right.set_xscale("log", base=2)
    right.set_yscale("log", base=2)
    right.legend(loc="upper left", fontsize=8, frameon=False)
    save(figure, path)
