"""Who wins where: the stored results of benchmarks/agents.py as tables, agents by scenario.

python benchmarks/regimes.py benchmarks/results/agents.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import COLUMNS, spread
from idn_gym.experiment.bounds import telling

Row = dict[str, Any]


def table(rows: list[Row], title: str, value: Callable[[Row], float | None], digits: int) -> str:
    """Markdown: mean plus or minus the standard deviation between seeds, per agent and scenario."""
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    lines = ["| " + " | ".join([title, *scenarios]) + " |", "|---" * (1 + len(scenarios)) + "|"]
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = []
        for scenario in scenarios:
            of = [value(row) for row in rows if row["name"] == name and row["scenario"] == scenario]
            found = [x for x in of if x is not None]
            cells.append(spread(found, digits) if found else "")
        if any(cells):
            plain, comma, word = name.partition(",")
            lines.append(f"| `{plain}`{comma}{word} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share(key: str) -> Callable[[Row], float | None]:
    """A share in %, where there is one."""
    return lambda row: 100.0 * row[key] if key in row else None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    rows = [row for path in parser.parse_args().results for row in json.loads(path.read_text())["rows"]]
    for key, about in COLUMNS.items():
        scenarios = {row["scenario"] for row in rows}
        told = [name for name in scenarios if key in telling(row for row in rows if row["scenario"] == name)]
        if told:
            print(
                table([row for row in rows if row["scenario"] in told], f"total gain, % of {about}", share(key), 1)
                + "\n"
            )
    print(table(rows, "NTAG of the fractional state, ms", lambda row: row.get("fractional_ntag"), 2) + "\n")
    print(table(rows, "NTAG, ms", lambda row: row["ntag"], 2) + "\n")
    print(table(rows, "GB loaded per slot", lambda row: row["model_update_mb"] / 1000.0, 2))


if __name__ == "__main__":
    main()
