"""What a study leaves behind: its results with what made them, and its tables, which pages include (docs/tables.py)."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from idn_gym.experiment.folders import versions

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CODE = ("idn_gym", "agents", ":(glob)benchmarks/*.py", "pyproject.toml", "constraints.txt")  # what results come from
STAMP = ("command", "commit", "date", "machine", "versions")
Document = dict[str, Any]


def code_commit() -> str:
    """The last commit that changed code, with `-dirty` where that was changed since; results and pages do not count."""
    try:
        changed = _git("status", "--porcelain", "--", *CODE)
        return _git("log", "-1", "--format=%h", "--", *CODE) + "-dirty" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # copied without its history


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


BEGUN_AT = code_commit()


def stamp() -> Document:
    """The command, commit, date, machine and versions of what runs now; `-dirty` if code changed since it began."""
    commit = BEGUN_AT if code_commit() == BEGUN_AT else f"{BEGUN_AT.removesuffix('-dirty')}-dirty"
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
    }


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Store results as JSON."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Document:
    """Results as they were stored."""
    document: Document = json.loads(path.read_text("utf-8"))
    return document


def store(path: Path, found: Mapping[str, Any], part: str = "", unfinished: bool = False) -> None:
    """Store results with what made them, as a document or as a part of one, whose other parts stay as they are."""
    document = {**stamp(), **({"unfinished": True} if unfinished else {}), **found}
    if part:
        document = {**(read(path) if path.exists() else {}), part: document}
    write(path, document)


def resumed(path: Path | None, part: str = "") -> Document:
    """What a study may go on with, so that no document mixes commits: what is stored, if it is of this commit."""
    if path is None or not path.exists():
        return {}
    document = read(path)
    document = document.get(part, {}) if part else document
    return document if document.get("commit") == BEGUN_AT and clean(BEGUN_AT) else {}


def clean(commit: str) -> bool:
    """Whether a commit says which code it was."""
    return commit != "unknown" and not commit.endswith("-dirty")


def stamped(document: Document) -> dict[str, Document]:
    """What has a stamp of its own: the parts of a document, or the document itself, under no name."""
    return {"": document} if "command" in document else document


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))


def values(rows: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """The values of a key, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def of(rows: Iterable[dict[str, Any]], /, **wanted: Any) -> list[dict[str, Any]]:
    """The rows that have these values."""
    return [row for row in rows if wanted.items() <= row.items()]
