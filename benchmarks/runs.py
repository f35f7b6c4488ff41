"""Tables of pages that are what one command of `idn-gym` says: each is run with `--json`, and stored as a part.

    python benchmarks/runs.py [NAME ...] [--output FILE.json]

Of several seeds the table has means, plus or minus half of the 95 % interval over seeds.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from stored import markdown, store

from idn_gym.experiment.spec import AgentSpec

MAIN = "from idn_gym.cli import main; main()"
RUNS = {
    "hindsight": "run topology-1-sliding --slots 240 --agent load-aware-greedy --agent infida "
    "--agent optimum:gap=0.005,time_limit=600 --agent dynamic-optimum:gap=0.005,time_limit=600",
    "social": "run abilene-social --slots 240 --seeds 0:3 --agent infida-coordinated --agent last-batch-greedy "
    "--agent central-stations --agent optimum --agent static-greedy --agent infida --agent load-aware-greedy",
    "influence": "system run influence",
    "jellybean": "system run jellybean",
}
COLUMNS: dict[str, dict[str, tuple[str, float, int]]] = {  # of each what is shown: header, scale, digits
    "hindsight": {
        "ntag": ("NTAG (ms)", 1.0, 2),
        "of_bound": ("gain of bound (%)", 100.0, 2),
        "of_dynamic_bound": ("gain of dynamic (%)", 100.0, 2),
    },
    "social": {
        "ntag": ("NTAG (ms)", 1.0, 2),
        "fractional_ntag": ("NTAG of its state (ms)", 1.0, 2),
        "of_bound": ("gain of bound (%)", 100.0, 1),
        "latency_ms": ("latency (ms)", 1.0, 2),
    },
    "influence": {"pinned": ("pinned", 1.0, 1), "free": ("free", 1.0, 1), "conformity": ("authors' model", 1.0, 1)},
    "jellybean": {"total": ("cost/h", 1.0, 3), "accuracy": ("accuracy (%)", 1.0, 2), "served": ("served (%)", 1.0, 0)},
}


def said(name: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    command = [sys.executable, "-c", MAIN, *shlex.split(RUNS[name]), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by name: the command, and a line per agent, the best first, or policy; a star has seen the stream."""
    return {name: f"`{part['run']}`\n\n{_table(name, part['said'])}" for name, part in document.items()}


def _table(name: str, found: dict[str, Any]) -> str:
    columns, lines = COLUMNS[name], []
    kind, rows = ("policy", found["policies"]) if "policies" in found else ("agent", found["agents"])
    for row in rows if kind == "policy" else sorted(rows, key=lambda row: -row["ntag"]):
        hindsight = kind == "agent" and getattr(AgentSpec.parse(row["agent"]).make(), "hindsight", False)
        cells = [f"`{row[kind]}`" + " *" * hindsight]
        for key, (_, scale, digits) in columns.items():
            spread = ""
            if key in row.get("intervals", {}):
                low, high = row["intervals"][key]
                spread = f" ± {scale * (high - low) / 2.0:.{digits}f}"
            cells.append(f"{scale * row[key]:.{digits}f}{spread}" if row.get(key) is not None else "")
        lines.append(cells)
    return markdown((kind, *(header for header, _, _ in columns.values())), lines)


def main() -> None:
    """Run, print the tables, and store each if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}; default: all")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in RUNS]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(RUNS)}")
    for name in options.names or RUNS:
        found = {"run": f"idn-gym {RUNS[name]}", "said": said(name)}
        print(tables({name: found})[name], flush=True)
        if options.output:
            store(options.output, found, name)


if __name__ == "__main__":
    main()
