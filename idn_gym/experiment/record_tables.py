"""The tables of an agent's record as text, and read back: what a run cannot have written is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np

from idn_gym.common.files import parse_json, read_text
from idn_gym.errors import IdnError
from idn_gym.experiment.metrics import SlotTable
from idn_gym.model.allocation import check
from idn_gym.model.allocation_file import named_values, parse_allocation
from idn_gym.model.network import Network
from idn_gym.scenario.kinds import PLACED, expecting
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import MOST_VALUES
from idn_gym.workload.trace_file import number

Changes = list[tuple[int, IntArray]]  # (slot, allocation (P,) int8) wherever it changed

_MAX_BYTES = 2**31
_CHANGES = ("slot", "node", "model")
_ALWAYS = tuple(field.name for field in fields(SlotTable) if field.default is MISSING)
_OPTIONAL = tuple(field.name for field in fields(SlotTable) if field.default is not MISSING)
_TOGETHER = (("timed_requests", "missed"), ("price_per_hour", "net"))


def slots_csv(table: SlotTable) -> str:
    """The text of ``slots.csv``."""
    columns = table.columns()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return _csv(("slot", *columns), ([t, *map(number, row)] for t, row in enumerate(rows)))


def read_slots(path: Path, slots: int | None = None) -> SlotTable:
    """Read a ``slots.csv``.

    Parameters
    ----------
    slots : how many rows it must have; None: at least one.

    Raises
    ------
    IdnError
        If columns or rows are missing or too many, or a value is no finite number.
    """
    header, rows = _table(path)
    known = header == ["slot", *_ALWAYS, *(name for name in _OPTIONAL if name in header)]
    if not known or any((one in header) != (other in header) for one, other in _TOGETHER):
        raise IdnError(f"{path}: columns {','.join(header)[:200]!r}; must be {','.join(('slot', *_ALWAYS))!r}")
    if not rows or len(rows) != (slots or len(rows)):
        raise IdnError(f"{path}: {len(rows)} slots; must be {slots or 'at least 1'}")
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError:
        values = np.array([_finite(value, f"{path}:{line}") for line, row in enumerate(rows, 2) for value in row])
        values = values.reshape(len(rows), -1)
    for fault, says in (
        (~np.isfinite(values).all(axis=1), "not finite numbers"),
        (values[:, 0] != np.arange(len(rows)), "not the slot that comes next"),
        (values[:, 1] < 0.0, "a negative number of requests"),
    ):
        if fault.any():
            line = int(np.argmax(fault))
            raise IdnError(f"{path}:{line + 2}: {','.join(rows[line])[:100]}: {says}")
    return SlotTable(**{name: values[:, i] for i, name in enumerate(header) if name != "slot"})


def changes_csv(network: Network, changes: Changes) -> str:
    """The text of ``allocations.csv``: whole allocations; an empty one is a row without node and model."""
    rows: list[tuple[int, str, str]] = []
    for slot, allocation in changes:
        rows += [(slot, *network.names(p)) for p in np.flatnonzero(allocation).tolist()] or [(slot, "", "")]
    return _csv(_CHANGES, rows)


def read_changes(network: Network, path: Path, slots: int) -> Changes:
    """Read an ``allocations.csv`` of a run of so many slots.

    Raises
    ------
    IdnError
        Naming line and value of the first slot out of range or order, or node and model that are no placement, or
        are given twice.
    """
    header, rows = _table(path)
    if header != list(_CHANGES):
        raise IdnError(f"{path}: columns {','.join(header)[:200]!r}; must be {','.join(_CHANGES)!r}")
    changes: Changes = []
    empty = False  # the allocation of the last slot
    for line, (text, node, model) in enumerate(rows, 2):
        where = f"{path}:{line}"
        slot = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else slots
        first, last = (changes[-1][0], slots - 1) if changes else (0, 0)
        if not first <= slot <= last:
            raise IdnError(f"{where}: slot {text[:60]!r}; must be a whole number in {first}..{last}")
        if not changes or slot > changes[-1][0]:
            changes.append((slot, np.zeros(network.P, dtype=np.int8)))
            empty = not (node or model)
            if empty:
                continue
        p = network.number(node, model)
        if p < 0 or empty or changes[-1][1][p]:
            says = "no placement of the scenario" if p < 0 else "a second time, or in an empty allocation"
            raise IdnError(f"{where}: node {node[:60]!r}, model {model[:60]!r}: {says}")
        changes[-1][1][p] = 1
    if not changes:
        raise IdnError(f"{path}: no allocation; must have that of slot 0")
    return changes


def read_placed(network: Network, path: Path, slot: int | None = None) -> IntArray:
    """(P,) what an ``allocations.csv`` has placed in a slot; None: in the last.

    Raises
    ------
    IdnError
        As `read_changes`; if the ``slots.csv`` beside the file, where there is one, ends before that slot; or if the
        allocation is not feasible in this network.
    """
    beside = path.with_name("slots.csv")
    slots = len(read_slots(beside).gain) if beside.is_file() else None
    if slot is not None and slots is not None and slot >= slots:
        raise IdnError(f"{path}: slot {slot}; the run has slots 0 to {slots - 1}")
    with expecting(path, PLACED):
        changes = read_changes(network, path, slots or MOST_VALUES)
    placed = [allocation for start, allocation in changes if slot is None or start <= slot][-1]
    try:
        check(network, placed)
    except IdnError as error:
        raise IdnError(f"{path}: {error}") from None
    return placed


def fractional_json(network: Network, state: FloatArray) -> str:
    """The text of ``fractional.json``, an allocation file with a line per node."""
    text = json.dumps(named_values(network, state), separators=(",", ":"))
    return text.replace("},", "},\n") + "\n"


def read_fractional(network: Network, path: Path) -> FloatArray | None:
    """(P,) the average state in a ``fractional.json``; None where there is no such file.

    Raises
    ------
    IdnError
        If it does not give each placement a fraction.
    """
    if not path.exists():
        return None
    values = parse_json(read_text(path), str(path))
    state = parse_allocation(network, values, str(path))
    given = sum(len(held) for held in values.values())
    if given != network.P:
        raise IdnError(f"{path}: fractions of {given} placements; must be those of all {network.P}")
    return state


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file, each as long as the header."""
    reader = csv.reader(io.StringIO(read_text(path, _MAX_BYTES)), strict=True)
    try:
        header, *rows = list(reader) or [[]]
    except csv.Error as error:
        raise IdnError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise IdnError(f"{path}:{line}: {len(row)} values; must be {len(header)}")
    return header, rows


def _finite(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise IdnError(f"{where}: {text[:60]!r}; must be a number") from None


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
