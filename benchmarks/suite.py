"""The packaged agents on the held-out split: the tables and the picture of docs/suite.md.

    python benchmarks/suite.py [-- OPTIONS OF idn-gym suite]     # a few minutes on two cores
    python benchmarks/suite.py --stored

The first stores what ``idn-gym suite --json`` says as suite.json among the results, and draws the picture; with
--stored nothing is played, and tables and picture come from what is stored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stored import RESULTS, markdown, read, stamp, write

from idn_gym.suite.picture import draw
from idn_gym.suite.tables import spread

COMMAND = "from idn_gym.cli import main; main()"


def main() -> None:
    """Play, store, draw, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored", action="store_true", help="from the stored results")
    parser.add_argument("--results", type=Path, default=RESULTS / "suite.json")
    parser.add_argument("--picture", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "suite.png")
    parser.add_argument("options", nargs="*", help="of idn-gym suite, behind --")
    given = parser.parse_args()
    if not given.stored:
        played = [sys.executable, "-c", COMMAND, "suite", "--json", *given.options]
        said = subprocess.run(played, stdout=subprocess.PIPE, text=True, check=True).stdout
        write(given.results, {**stamp(), **json.loads(said)})
    document = read(given.results)
    print(*tables(document).values(), sep="\n\n")
    draw(document, given.picture)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown: all cases, and by workload how far behind the best causal agent and which share of the bound."""
    header = ("agent", "behind", "rank", "wins", "close", "worst", "worst case", "of bound")
    lines = []
    for row in document["agents"]:
        cells: tuple[str, ...] = ("",) * 5
        if "rank" in row:
            counts = str(row["wins"]), str(row["close"])
            cells = (f"{row['rank']:.2f}", *counts, f"{row['worst']:.2%}", row["worst_case"])
        lines.append((_name(row), spread(row, "behind") or "", *cells, spread(row, "of_bound") or ""))
    about = f"{document['cases']} cases of {document['slots']} slots; `*` is in hindsight."
    found = {"all": f"{about}\n\n{markdown(header, lines)}"}
    kinds = {kind: {row["agent"]: row for row in rows} for kind, rows in document["kinds"].items()}
    for key, about in (("behind", "Behind the best causal agent"), ("of_bound", "Share of the bound")):
        rows = [row for row in document["agents"] if key in row]
        figures = [(_name(row), *(spread(of[row["agent"]], key) or "" for of in kinds.values())) for row in rows]
        found[key] = f"{about}, by workload:\n\n{markdown(('agent', *kinds), figures)}"
    return found


def _name(row: dict[str, Any]) -> str:
    return f"`{row['agent']}`{' *' * row['hindsight']}"


if __name__ == "__main__":
    main()
