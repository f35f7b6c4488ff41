"""What studies that have a table per scenario share: their command line, and what they store."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from stored import of, read, stamp, values, write

Rows = list[dict[str, Any]]


def main(about: str, scenarios: Collection[str], study: Callable[[str], Rows], table: Callable[[Rows], str]) -> None:
    """``run`` the study of each scenario and store it, or ``show`` what is stored; prints a table per scenario."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("results", nargs="?", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--scenario", choices=scenarios, action="append")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "run":
        document = {**stamp(), "rows": [row for name in options.scenario or scenarios for row in study(name)]}
        if options.output:
            write(options.output, document)
    else:
        document = read(options.results)
    print(*tables(document, table).values(), sep="\n\n")


def tables(document: dict[str, Any], table: Callable[[Rows], str]) -> dict[str, str]:
    """Markdown by scenario, under its name."""
    rows = document["rows"]
    return {name: f"**{name}**\n\n{table(of(rows, scenario=name))}" for name in values(rows, "scenario")}
