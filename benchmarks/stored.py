"""What a study leaves behind: its results with what made them, and its tables, which pages include (docs/tables.py)."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from idn_gym.experiment.folders import versions

RESULTS = Path(__file__).parent / "results"


def stamp() -> dict[str, Any]:
    """The command, commit (`-dirty` where it was changed), date, machine and versions of what runs now."""
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
    }


def _commit() -> str:
    described = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # copied without its history


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Store results as JSON."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Results as they were stored."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))


def values(rows: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """The values of a key, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def of(rows: Iterable[dict[str, Any]], /, **wanted: Any) -> list[dict[str, Any]]:
    """The rows that have these values."""
    return [row for row in rows if wanted.items() <= row.items()]
