"""Markdown tables and the picture of what `benchmarks/coordinated.py` stored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from stored import markdown, of, values

Rows = list[dict[str, Any]]
OURS, WITHOUT = "infida-coordinated", "rolling-local-search"
ALONE = "infida-coordinated:rounding=coordinated"
COLUMNS = (OURS, WITHOUT, "last-batch-greedy", "load-aware-greedy", "infida", "static-greedy")


def mean_of(figures: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95% interval; nan for the latter of one value."""
    n = len(figures)
    if n < 2:
        return statistics.mean(figures), math.nan
    return statistics.mean(figures), float(student.ppf(0.975, n - 1)) * statistics.stdev(figures) / math.sqrt(n)


def cell(figures: Sequence[float], digits: int = 2, signed: bool = False) -> str:
    """Mean ± half width."""
    middle, half = mean_of(figures)
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
    most = max(map(len, found.values()))  # the best one alone was played on every seed
    complete = [each for each in found.values() if len(each) == most]
    return max(complete, key=lambda each: each[0])


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown of all parts that are there, under `part`, or `part: measure` where a part has several."""
    found = {}
    for part, shown in SHOWN.items():
        if part in document:
            for title, text in shown(document[part]["rows"]).items():
                found[f"{part}: {title}" if title else part] = f"**{title}**\n\n{text}" if title else text
    return found


def _rivals(rows: Rows) -> dict[str, str]:
    header = ["", *(f"`{agent}`" for agent in COLUMNS)]
    found = {}
    for title, key, scale in (
        ("NTAG, ms", "ntag", 1.0),
        ("Total gain, % of the certified static bound", "share_of_bound", 100.0),
        ("GB loaded per slot", "model_update_mb", 1e-3),
        ("NTAG of the state, ms", "fractional_ntag", 1.0),
    ):
        lines = []
        for case in values(rows, "case"):
            cells = [[scale * value for value in by_seed(rows, case, agent, key).values()] for agent in COLUMNS]
            lines.append([case, *(cell(each) if each else "" for each in cells)])
        found[title] = markdown(header, lines)
    lines = []
    for case in values(rows, "case"):
        ours = by_seed(rows, case, OURS)
        others = [by_seed(rows, case, agent) for agent in COLUMNS[1:]]
        lines.append([case, *(cell([ours[seed] - theirs[seed] for seed in ours], 2, signed=True) for theirs in others)])
    found[f"NTAG of `{OURS}` less that of others, ms, paired"] = markdown(["", *header[2:]], lines)
    lines = []
    for case in values(rows, "case"):
        best = [name for name in values(of(rows, case=case, seed=1), "agent") if "greedy:" in name]
        lines.append([case, ", ".join(f"`{name}`" for name in sorted(best))])
    found["Parameters of the greedies that did best on seed 0"] = markdown(["", "parameters"], lines)
    return found


def _causal(rows: Rows) -> dict[str, str]:
    agents = values(rows, "agent")
    found = {}
    for title, figure in (
        ("NTAG, ms", lambda each: cell([row["ntag"] for row in each])),
        ("GB loaded per slot", lambda each: cell([1e-3 * row["model_update_mb"] for row in each])),
        (
            "slots per CPU second, serving included",
            lambda each: f"{statistics.median(row['slots'] / row['cpu_seconds'] for row in each):.0f}",
        ),
    ):
        lines = [
            [case, *(figure(of(rows, case=case, agent=agent)) for agent in agents)] for case in values(rows, "case")
        ]
        found[title] = markdown(["", *(f"`{agent}`" for agent in agents)], lines)
    return found


def _law(rows: Rows) -> dict[str, str]:
    lines = []
    for case in values(rows, "case"):
        each = of(rows, case=case)
        shares = cell([100.0 * row["share"] for row in each])
        behind = [statistics.mean(row["behind"][part] for row in each) for part in ("first", "shifts", "others")]
        ntags = [statistics.mean(row[key] for row in each) for key in ("law", "ntag")]
        lines.append([case, *(f"{ntag:.2f}" for ntag in ntags), shares, *(f"{ms:.3f}" for ms in behind)])
    header = ["", "`law-aware`, ms", "`infida-coordinated`, ms", "share, %"]
    return {"": markdown([*header, "behind in slot 0, ms", "in shifts and right after", "in other slots"], lines)}


def _grid(rows: Rows) -> dict[str, str]:
    lines = []
    for case in values(rows, "case"):
        each = of(rows, case=case)
        lines.append([case, *(cell([100.0 * row[bound] for row in each]) for bound in ("certified", "solver"))])
    return {"": markdown(["total gain, % of", "the certified bound", "the solver's"], lines)}


def _rates(rows: Rows) -> dict[str, str]:
    names = list(rows[0]["ntag"])
    lines = []
    for condition in values(rows, "condition"):
        each = of(rows, condition=condition)
        ntag = {name: [row["ntag"][name] for row in each] for name in names}
        best = max((name for name in names if name != "adaptive"), key=lambda name: statistics.mean(ntag[name]))
        difference = [a - b for a, b in zip(ntag["adaptive"], ntag[best], strict=True)]
        cells = [f"{statistics.mean(ntag[name]):.2f}" for name in names]
        lines.append([condition, *cells, f"{best}: {cell(difference, 2, signed=True)}"])
    return {"": markdown(["", *names, "adaptive less the best of the others"], lines)}


def _variants(rows: Rows) -> dict[str, str]:
    cases = values(rows, "case")
    lines = []
    for variant in values(rows, "variant"):
        cells = []
        for case in cases:
            each = of(rows, case=case, variant=variant)
            gigabytes = statistics.mean(row["model_update_mb"] for row in each) / 1e3
            cells.append(f"{cell([row['ntag'] for row in each])} ({gigabytes:.2f})")
        lines.append([f"`{variant}`" if variant != "defaults" else variant, *cells])
    return {"NTAG, ms, and GB loaded per slot": markdown(["", *cases], lines)}


def _adversaries(rows: Rows) -> dict[str, str]:
    horizons = sorted({row["slots"] for row in rows})
    found = {}
    for stream in values(rows, "stream"):
        lines = []
        own = of(rows, stream=stream)
        for agent in values(own, "agent"):
            each = [[row["regret"] for row in of(own, agent=agent, slots=slots)] for slots in horizons]
            lines.append([agent, *(cell(regret, 1) for regret in each)])
        bounds = [of(own, slots=slots)[0]["bound"] for slots in horizons]
        lines.append(["bound on state regret", *(f"{bound:.1f}" for bound in bounds)])
        title = f"Stream made for {stream}; regret in slots' worth"
        found[title] = markdown(["", *(f"T = {slots}" for slots in horizons)], lines)
    return found


def _speed(rows: Rows) -> dict[str, str]:
    agents = values(rows, "agent")
    lines = []
    for case in values(rows, "case"):
        each = [of(rows, case=case, agent=agent)[0]["slots_per_second"] for agent in agents]
        lines.append([case, *(f"{rate:.0f}" for rate in each)])
    return {"": markdown(["slots/s", *(f"`{agent}`" for agent in agents)], lines)}


SHOWN = {
    "grid": _grid,
    "law": _law,
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
    for agent, (label, own_look) in lines.items():
        regret = [
            statistics.mean(row["regret"] for row in own if row["agent"] == agent and row["slots"] == slots)
            for slots in horizons
        ]
        right.plot(
            horizons,
            regret,
            color=own_look.colour,
            marker=own_look.marker,
            linestyle=own_look.line,
            markersize=5,
            label=label,
        )
    bounds = [next(row["bound"] for row in own if row["slots"] == slots) for slots in horizons]
    right.plot(horizons, bounds, ":", color=INK, label="bound on state regret")
    right.set_xscale("log", base=2)
    right.set_yscale("log", base=2)
    right.legend(loc="upper left", fontsize=8, frameon=False)
    save(figure, path)
