"""The systems' claims and golden numbers in ``idn-gym reproduce``, found through the entry-point group of its figures.

Nothing is drawn by chance here that a seed does not fix: each claim is decided by one run on the synthetic stream.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idn_agents.systems import SYSTEMS, system_class
from idn_agents.systems.frame import Check, Claim, Measures, System
from idn_agents.systems.running.picture import trade_off
from idn_gym.common.files import write_text
from idn_gym.experiment.sweep import Cell
from idn_gym.reproduce import checks
from idn_gym.reproduce.drawing import panels
from idn_gym.reproduce.runs import Budget, Runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Nine systems of the field and their baselines, each on one stream: claims and golden numbers"
ABOUT = (
    "Sources are tagged: [S] an abstract or the authors' pages, [V] their code or data, [C] computed, [D] derived, [L] "
    "this library's own, and no paper's. Streams are the synthetic ones; what comes of the real ones, and why, is on "
    "[the page of the systems](systems.md): there the geometric mean is closer than HEET. Golden numbers are "
    "those of `idn-gym system check all`."
)
BUDGETS = {"smoke": Budget(0, 0), "full": Budget(0, 0)}

_NOT_HOLDING = {  # by system, as docs/systems.md reports them; whatever else is claimed holds
    ("infadapter", "cost up to 33% lower than a vertical autoscaler's"),
    ("ipa", "accuracy up to 35 % higher at a cost less than 5 % higher"),
    ("sponge", "Sponge has fewer violations than FA2"),
    ("influence", "influence chooses the leaders that listen as well whom most follow"),
    ("jellybean", "the beam search is within 1 % of the optimum at every step"),
    ("pamdi", "priorities cost the lowest priority nothing"),
    ("sled", "2.2x the throughput of centralised serving"),
    ("sled", "2.8x the capacity of centralised serving"),
}
_NOT_DECIDED = {
    ("sponge", "reordering by deadline lowers violations"),
    ("jellybean", "36 % less on vehicle tracking, up to 5x in all"),
}


@dataclass(frozen=True)
class _Played:
    system: System[Any, Any, Any]
    results: tuple[Measures, ...]
    claims: tuple[Claim, ...]
    golden: tuple[Check, ...]


def cells(budget: Budget) -> list[Cell]:
    """None: systems are no sweep of agents."""
    return []


def run(folder: Path) -> None:
    """Write what the policies of each system measure: a row per figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("system", "policy", "measure", "value"))
    for played in _played():
        for result in played.results:
            for key, value in result.values.items():
                writer.writerow((played.system.name, result.policy, key, value))
    write_text(folder / "table.csv", text.getvalue())


def claims(runs: Runs) -> list[checks.Check]:
    """Each system's claims, and whether all its golden numbers come out."""
    found = []
    for played in _played():
        name = played.system.name
        for claim in played.claims:
            documented = checks.Outcome.HOLDS
            if (name, claim.text) in _NOT_HOLDING:
                documented = checks.Outcome.FAILS
            elif (name, claim.text) in _NOT_DECIDED:
                documented = checks.Outcome.OPEN
            verdict = checks.Verdict(checks.Outcome(claim.outcome.value), claim.reason)
            found.append(
                checks.Check(f"{name}: {claim.text}", f"[{claim.tag.value}] {claim.source}", verdict, documented)
            )
        found.append(checks.Check(f"{name}: golden numbers", "golden", _golden(played), checks.Outcome.HOLDS))
    return found


def draw(runs: Runs) -> Figure:
    """A panel per system: the policies over two measures of its paper."""
    figure, axes = panels(3, [played.system.name for played in _played()], 380, 330)
    for axis, played in zip(axes, _played(), strict=True):
        trade_off(axis, played.system, played.results)
        axis.set_title(played.system.name, fontsize=10, loc="left")
    return figure


@cache
def _played() -> tuple[_Played, ...]:
    """Every system on its stream; nothing is asked of them that would differ from call to call."""
    found = []
    for name in SYSTEMS:
        made = system_class(name)()
        stream = made.stream()
        results = tuple(made.evaluate(policy, stream) for policy in made.policies())
        found.append(_Played(made, results, tuple(made.claims(results)), tuple(made.checks())))
    return tuple(found)


def _golden(played: _Played) -> checks.Verdict:
    missed = [check.name for check in played.golden if not check.holds]
    if missed:
        says = f"{len(missed)} of {len(played.golden)} missed, {missed[0]} first"
        return checks.Verdict(checks.Outcome.FAILS, says)
    return checks.Verdict(checks.Outcome.HOLDS, f"{len(played.golden)} of {len(played.golden)}")
