"""The packaged agents on the held-out split: python benchmarks/suite.py, a few minutes on two cores.

It stores what ``idn-gym suite --json`` says as suite.json among the results, and writes the tables of docs/suite.md
and its picture. With --stored it plays nothing and writes them from what is stored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from idn_gym.suite.picture import draw
from idn_gym.suite.tables import spread

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "## The packaged agents on the held-out split"
COMMAND = "from idn_gym.cli import main; main()"


def main() -> None:
    """Play, store, and write tables and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored", action="store_true", help="from the stored results")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "suite.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "suite.md")
    parser.add_argument("options", nargs="*", help="of idn-gym suite, behind --")
    given = parser.parse_args()
    if not given.stored:
        played = [sys.executable, "-c", COMMAND, "suite", "--json", *given.options]
        said = subprocess.run(played, stdout=subprocess.PIPE, text=True, check=True).stdout
        given.results.write_text(said)
    document = json.loads(given.results.read_text())
    before, _, _ = given.page.read_text().partition(BEGIN)
    given.page.write_text(f"{before.rstrip()}\n\n{BEGIN}\n\n{section(document)}\n")
    draw(document, given.page.with_suffix(".png"))


def section(document: dict[str, Any]) -> str:
    """What the page says of the results."""
    header = ("agent", "behind", "rank", "wins", "close", "worst", "worst case", "of bound")
    lines = []
    for row in document["agents"]:
        cells: tuple[Any, ...] = ("",) * 5
        if "rank" in row:
            cells = (f"{row['rank']:.2f}", row["wins"], row["close"], f"{row['worst']:.2%}", row["worst_case"])
        lines.append((_name(row), spread(row, "behind") or "", *cells, spread(row, "of_bound") or ""))
    kinds = {kind: {row["agent"]: row for row in rows} for kind, rows in document["kinds"].items()}
    parts = [
        f"`python benchmarks/suite.py`: {document['cases']} cases of {document['slots']} slots; `*` is in hindsight.",
        _table(header, lines),
    ]
    for key, about in (("behind", "Behind the best causal agent"), ("of_bound", "Share of the bound")):
        rows = [row for row in document["agents"] if key in row]
        figures = [(_name(row), *(spread(of[row["agent"]], key) or "" for of in kinds.values())) for row in rows]
        parts += [f"{about}, by workload:", _table(("agent", *kinds), figures)]
    return "\n\n".join([*parts, "![How often each causal agent is how close to the best](suite.png)"])


def _name(row: dict[str, Any]) -> str:
    return f"`{row['agent']}`{' *' * row['hindsight']}"


def _table(header: tuple[Any, ...], lines: list[tuple[Any, ...]]) -> str:
    rows = (header, ("---",) * len(header), *lines)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


if __name__ == "__main__":
    main()
