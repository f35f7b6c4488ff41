"""Who wins where: the stored results of benchmarks/agents.py as two tables, agents by scenario.

python benchmarks/regimes.py benchmarks/results/agents.json benchmarks/results/regimes.json
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def table(rows: list[Row], title: str, agents: list[str], value: Callable[[Row], float | None], digits: int) -> str:
    """Markdown: mean plus or minus the standard deviation between seeds, per agent and scenario."""
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    lines = ["| " + " | ".join([title, *scenarios]) + " |", "|---" * (1 + len(scenarios)) + "|"]
    for agent in agents:
        cells = []
        for scenario in scenarios:
            of = [value(row) for row in rows if row["agent"].partition(":")[0] == agent and row["scenario"] == scenario]
            found = [x for x in of if x is not None]
            cells.append(f"{statistics.mean(found):.{digits}f} ± {statistics.stdev(found):.{digits}f}" if found else "")
        if any(cells):
            lines.append(f"| `{agent}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    rows = [row for path in parser.parse_args().results for row in json.loads(path.read_text())["rows"]]
    agents = list(dict.fromkeys(row["agent"].partition(":")[0] for row in rows))
    print(table(rows, "total gain, % of static bound", agents, lambda row: 100.0 * row["share_of_bound"], 1) + "\n")
    print(table(rows, "NTAG of the fractional state, ms", agents, lambda row: row.get("fractional_ntag"), 2) + "\n")
    print(table(rows, "NTAG, ms", agents, lambda row: row["ntag"], 2) + "\n")
    print(table(rows, "GB loaded per slot", agents, lambda row: row["model_update_mb"] / 1000.0, 2))


if __name__ == "__main__":
    main()
