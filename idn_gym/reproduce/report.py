"""The page ``docs/reproduction.md``: written by ``idn-gym reproduce all --report``, never by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from idn_gym.common.files import write_text
from idn_gym.reproduce import figure
from idn_gym.reproduce.checks import Outcome
from idn_gym.reproduce.reproduction import Reproduction

_HEAD = """# Reproduction: the paper's figures, their claims, and what came of them

<!-- Written by: {command} -->

What does each figure of the paper show, does it come out here, and how is that decided?

**No numeric value of the paper's figures is known to this project.** Its budgets and several constants are not
published in what we have; what stands in for them is marked `unverified` or `chosen` in every scenario (`idn-gym show`,
[calibration](calibration.md)). So this page reproduces what each figure *shows*: its claims are written down as checks,
and each is reported as it came out. A claim of source `paper` is one that the authors make of INFIDA (near-optimal,
better than greedy heuristics, vanishing average regret), in our words and on our scenarios; `expected` is what we take
the figure to be there to show.

- **How a check is decided**: all policies of a seed face one request stream, and values are paired over seeds;
  Student's t, 95%, shared out (Bonferroni) where a claim has several parts. *Holds* or *does not hold*: the interval
  lies on one side. Else *not decided*.
- **Again**: `{command}`. The same command gives the same numbers, on any number of workers or a Ray cluster. `--check`
  exits with status 1 if a claim that this page says holds does not. `--budget smoke` takes minutes, and is too short
  to trust.
- **This page**: {versions}; {workers} workers on a machine of {cores} cores; {slots}. Times are wall-clock, of a
  machine that other jobs may have shared; agents' seconds are the sum over runs, from reset to last slot.
"""


def write_report(path: Path, found: Sequence[Reproduction], folder: Path, budget: str, workers: int | None) -> None:
    """Write the page, and beside it a folder of its name with each figure's picture and table of runs."""
    beside = path.with_suffix("")
    beside.mkdir(parents=True, exist_ok=True)
    names = "all" if len(found) > 1 else found[0].name
    page = path.name if path.is_absolute() else path
    command = f"idn-gym reproduce {names} --budget {budget} --output runs/reproduction --report {page}"
    seeds = sorted({len(one.runs.seeds) for one in found if one.runs.cells})
    head = _HEAD.format(
        command=command,
        versions=f"commit {_commit()}, idn_gym {version('idn-gym')}, NumPy {version('numpy')}",
        workers=workers or "as many as the cluster has",
        cores=os.cpu_count(),
        slots=f"budget {budget}" + (f": {' and '.join(map(str, seeds))} seeds, from 0" if seeds else ""),
    )
    parts = [head, _overview(found), _outcomes(found)]
    for one in found:
        shutil.copyfile(folder / f"{one.name}.png", beside / f"{one.name}.png")
        shutil.copyfile(folder / one.name / "table.csv", beside / f"{one.name}.csv")
        parts.append(_section(one, beside.name, budget))
    write_text(path, "\n".join(parts))


def _overview(found: Sequence[Reproduction]) -> str:
    lines = ["| figure | shows | streams | runs | slots | time | agents' seconds |", "|---|---|---|---|---|---|---|"]
    for one in found:
        wall = "resumed" if one.seconds is None else f"{one.seconds:.0f} s"
        agents = sum(row["seconds"] for row in one.runs.rows)
        sizes = f"{len(one.runs.cells)} | {len(one.runs.rows)} | {one.budget.slots}" if one.runs.cells else "| |"
        seconds = f"{agents:,.0f}" if one.runs.cells else ""
        lines.append(f"| [{one.name}](#{one.name}) | {one.title} | {sizes} | {wall} | {seconds} |")
    return "\n".join(lines) + "\n"


def _outcomes(found: Sequence[Reproduction]) -> str:
    outcomes = [check.verdict.outcome for one in found for check in one.checks]
    holds, fails, undecided = (outcomes.count(outcome) for outcome in (Outcome.HOLDS, Outcome.FAILS, Outcome.OPEN))
    return f"Of {len(outcomes)} claims {holds} hold, {fails} do not, and {undecided} are not decided.\n"


def _section(one: Reproduction, beside: str, budget: str) -> str:
    module = figure(one.name)
    lines = [f"## {one.name}", "", one.title + ".", "", f"`idn-gym reproduce {one.name} --budget {budget} --check`", ""]
    lines += [f"![{one.title}]({beside}/{one.name}.png)", "", f"Runs: [{one.name}.csv]({beside}/{one.name}.csv)", ""]
    lines += [module.ABOUT, ""] if hasattr(module, "ABOUT") else []
    lines += ["| claim | source | outcome | evidence |", "|---|---|---|---|"]
    for check in one.checks:
        verdict = check.verdict
        changed = "" if verdict.outcome is check.documented else f" (documented: {check.documented.value})"
        lines.append(f"| {check.claim} | {check.source} | **{verdict.outcome.value}**{changed} | {verdict.evidence} |")
    if hasattr(module, "table"):
        lines += ["", module.table(one.runs)]
    return "\n".join(lines) + "\n"


def _commit() -> str:
    """The commit of the source that ran, where it is a Git checkout; with a + where files differ from it."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", here, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
