"""Streams of a system in a file.

A stream is a column of numbers, a row per step. As ``.csv`` a header names the columns, of which the system takes its
own; as ``.json`` an object holds a list per column, or such objects by name, of which ``segment`` chooses one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym.common.files import parse_json, read_text
from idn_gym.common.text import allowed, listed, shown
from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray

MOST_STEPS = 1_000_000


def read_column(path: Path, names: Sequence[str], segment: str | None = None, least: float = 0.0) -> FloatArray:
    """One column of a stream file, (T,), T at least 1.

    Parameters
    ----------
    names : what the column may be called; the first that is there is taken.
    segment : which of several streams of a ``.json``.
    least : that a value may be.

    Raises
    ------
    IdnError
        If the file cannot be read, has no such column, no step, or a value that is no finite number or too small.
    """
    text = read_text(path)
    columns = _json_columns(path, text, segment) if path.suffix.lower() == ".json" else _csv_columns(path, text)
    name = next((name for name in names if name in columns), None)
    if name is None:
        raise IdnError(f"{path}: no column {' or '.join(names)}; it has {listed(list(columns)) or 'none'}")
    values = columns[name]
    if not values:
        raise IdnError(f"{path}: {name}: empty; a stream has at least one step")
    if len(values) > MOST_STEPS:
        raise IdnError(f"{path}: {len(values):,} steps; at most {MOST_STEPS:,}")
    for step, value in enumerate(values):
        if not (isinstance(value, float) and math.isfinite(value) and value >= least):
            raise IdnError(f"{path}: {name} of step {step}: {shown(value)}; must be a finite number >= {least:g}")
    return np.array(values)


def _csv_columns(path: Path, text: str) -> dict[str, list[Any]]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        raise IdnError(f"{path}: empty; must have a header and a row per step")
    header = [name.strip() for name in rows[0]]
    if short := next((n for n, row in enumerate(rows) if len(row) != len(header)), None):
        raise IdnError(f"{path}: row {short} has {len(rows[short])} values; the header has {len(header)}")
    return {name: [_number(row[at]) for row in rows[1:]] for at, name in enumerate(header)}


def _json_columns(path: Path, text: str, segment: str | None) -> dict[str, list[Any]]:
    content = parse_json(text, str(path))
    segments = {key: value for key, value in content.items() if isinstance(value, dict)} if _is(content) else {}
    if segment is not None or segments:
        if segment not in segments:
            raise IdnError(f"{path}: segment {shown(segment)}; {allowed(segment, list(segments)) or 'it has none'}")
        content = segments[segment]
    if not _is(content):
        raise IdnError(f"{path}: {shown(content)}; must be an object with a list of numbers per column")
    lists = {key: value for key, value in content.items() if isinstance(value, list)}
    return {key: [_number(value) for value in values] for key, values in lists.items()}


def _is(content: Any) -> bool:
    return isinstance(content, dict)


def _number(value: Any) -> Any:
    """A float where it is a number or the text of one, else the value as it is."""
    if isinstance(value, bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value
