"""What studies that have a table per scenario share: their command line, and what they store."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from learners import stamped

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
        document = stamped({"rows": [row for name in options.scenario or scenarios for row in study(name)]})
        if options.output:
            options.output.write_text(json.dumps(document, indent=1) + "\n")
    else:
        document = json.loads(options.results.read_text())
    for name in dict.fromkeys(row["scenario"] for row in document["rows"]):
        print(f"\n**{name}**\n\n{table([row for row in document['rows'] if row['scenario'] == name])}")
