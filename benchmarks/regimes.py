"""Who wins where: the stored results of benchmarks/agents.py as tables, agents by scenario.

python benchmarks/regimes.py benchmarks/results/agents.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stored import of, read, values

from agents import COLUMNS, rows_of, spread
from idn_gym.experiment.bounds import telling

Row = dict[str, Any]


def table(rows: list[Row], title: str, value: Callable[[Row], float | None], digits: int) -> str:
    """Markdown: mean plus or minus the standard deviation between seeds, per agent and scenario."""
    scenarios = values(rows, "scenario")
    lines = ["| " + " | ".join([title, *scenarios]) + " |", "|---" * (1 + len(scenarios)) + "|"]
    for name in values(rows, "name"):
        cells = []
        for scenario in scenarios:
            found = [x for row in of(rows, name=name, scenario=scenario) if (x := value(row)) is not None]
            cells.append(spread(found, digits) if found else "")
        if any(cells):
            plain, comma, word = name.partition(",")
            lines.append(f"| `{plain}`{comma}{word} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share(key: str) -> Callable[[Row], float | None]:
    """A share in %, where there is one."""
    return lambda row: 100.0 * row[key] if key in row else None


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by measure, of agents that were on every scenario; of shares only those of which they tell something."""
    rows, found = rows_of(document), {}
    names = [name for name in values(rows, "name") if len(values(of(rows, name=name), "scenario")) == len(document)]
    rows = [row for row in rows if row["name"] in names]
    for key, about in COLUMNS.items():
        told = [name for name in values(rows, "scenario") if key in telling(of(rows, scenario=name))]
        if told:
            shown = [row for row in rows if row["scenario"] in told]
            found[key] = table(shown, f"total gain, % of {about}", share(key), 1)
    states = "NTAG of the fractional state, ms"
    found["fractional_ntag"] = table(rows, states, lambda row: row.get("fractional_ntag"), 2)
    found["ntag"] = table(rows, "NTAG, ms", lambda row: row["ntag"], 2)
    found["loaded"] = table(rows, "GB loaded per slot", lambda row: row["model_update_mb"] / 1000.0, 2)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    print("\n\n".join(tables(read(parser.parse_args().results)).values()))


if __name__ == "__main__":
    main()
