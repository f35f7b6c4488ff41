"""Reproducing a figure: run its sweep, decide its claims, draw it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idn_gym.common.files import atomic, read_json, write_text
from idn_gym.errors import IdnError
from idn_gym.experiment import sweep
from idn_gym.reproduce import figure
from idn_gym.reproduce.checks import Check
from idn_gym.reproduce.runs import Budget, Runs


@dataclass(frozen=True)
class Reproduction:
    """What came of a figure."""

    name: str
    title: str
    budget: Budget
    runs: Runs
    checks: tuple[Check, ...]
    seconds: float | None  # wall-clock, of the sweep; None if it was interrupted and resumed

    def document(self) -> dict[str, Any]:
        """As JSON values; the same for the same runs, seconds aside."""
        checks = [
            {
                "claim": check.claim,
                "source": check.source,
                "outcome": check.verdict.outcome,
                "evidence": check.verdict.evidence,
                "documented": check.documented,
            }
            for check in self.checks
        ]
        about = {"figure": self.name, "title": self.title, "slots": self.budget.slots, "seeds": self.runs.seeds}
        return {**about, "streams": len(self.runs.cells), "runs": len(self.runs.rows), "checks": checks}


def reproduce(
    name: str,
    budget: str | Budget,
    output: Path,
    *,
    workers: int | None = 1,
    resume: bool = False,
    address: str | None = None,
    command: Sequence[str] = (),
    progress: sweep.Progress = sweep.silent,
    pictures: bool = True,
) -> Reproduction:
    """Run a figure's sweep in a folder, and write its checks and picture there; arguments as `sweep.run`.

    The budget is ``smoke``, ``full`` or one's own. Leaves ``DIR/<name>/`` (the sweep, or what else is run),
    ``DIR/<name>.json`` (the checks) and ``DIR/<name>.png``.
    """
    module = figure(name)
    if pictures:
        from idn_gym.common.figures import require_matplotlib

        require_matplotlib()  # told before the runs, not after
    chosen: Budget = module.BUDGETS[budget] if isinstance(budget, str) else budget
    cells = module.cells(chosen)
    folder = output / name
    record = output / f"{name}.json"
    begun, complete = ((folder / file).exists() for file in ("sweep.json", "table.csv"))
    began = time.perf_counter()
    if cells:
        how: dict[str, Any] = {"workers": workers, "resume": resume, "address": address, "command": command}
        rows = sweep.run(cells, folder, progress=progress, **how)
    else:
        rows = []
        folder.mkdir(exist_ok=True)
        module.run(folder)
    seconds = None if begun else time.perf_counter() - began
    if complete and record.exists():
        seconds = read_json(record).get("seconds")
        if seconds is not None and not (isinstance(seconds, int | float) and 0.0 <= seconds < 1e15):
            raise IdnError(f"{record}: seconds {str(seconds)[:60]!r}; must be a number >= 0")
    runs = Runs(folder, tuple(cells), tuple(rows))
    found = Reproduction(name, module.TITLE, chosen, runs, tuple(module.claims(runs)), seconds)
    write_text(record, json.dumps({**found.document(), "seconds": seconds}, indent=1) + "\n")
    if pictures:
        from idn_gym.common.figures import save

        with atomic(output / f"{name}.png") as file:
            save(module.draw(runs), file)
    return found
