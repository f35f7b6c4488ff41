"""The tables of an agent's record as text, and read back: what a run cannot have written is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np

from idn_gym.common.files import parse_json, read_lines, read_text
from idn_gym.errors import IdnError
from idn_gym.experiment.metrics import SlotTable
from idn_gym.model.allocation import check
from idn_gym.model.allocation_file import parse_allocation
from idn_gym.model.network import Network
from idn_gym.scenario.kinds import PLACED, expecting
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import MOST_VALUES
from idn_gym.workload.trace_file import number, quoted

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
    header, *rows = list(_rows(path)) or [[]]
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


class ChangesCsv:
    """The text of ``allocations.csv``: whole allocations; an empty one is a row without node and model."""

    def __init__(self, network: Network) -> None:
        self.header = _csv(_CHANGES, ())
        self._node, self._model = network.placement_node, network.placement_model
        self._nodes = [quoted([name]) for name in network.node_names]
        self._models = [quoted([name]) for name in network.model_names]

    def rows(self, slot: int, allocation: IntArray) -> str:
        """What is placed (P,) from a slot on."""
        placed = np.flatnonzero(allocation)
        where = zip(self._node[placed].tolist(), self._model[placed].tolist(), strict=True)
        return "".join([f"{slot},{self._nodes[v]},{self._models[m]}\n" for v, m in where]) or f"{slot},,\n"


@dataclass(frozen=True)
class Changes:
    """What was placed according to an ``allocations.csv`` of a run of so many slots.

    It is read anew whenever one goes through it, an allocation at a time: (slot, allocation (P,) int8) wherever it
    changed.
    """

    network: Network
    path: Path
    slots: int

    def __iter__(self) -> Iterator[tuple[int, IntArray]]:
        """Read the file.

        Raises
        ------
        IdnError
            Naming line and value of the first slot out of range or order, or node and model that are no placement, or
            are given twice.
        """
        network, path, slots = self.network, self.path, self.slots
        rows = _rows(path)
        if (header := next(rows, [])) != list(_CHANGES):
            raise IdnError(f"{path}: columns {','.join(header)[:200]!r}; must be {','.join(_CHANGES)!r}")
        latest: tuple[int, IntArray] | None = None
        empty = False  # the allocation of the last slot
        for line, (text, node, model) in enumerate(rows, 2):
            where = f"{path}:{line}"
            slot = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else slots
            first, last = (latest[0], slots - 1) if latest else (0, 0)
            if not first <= slot <= last:
                raise IdnError(f"{where}: slot {text[:60]!r}; must be a whole number in {first}..{last}")
            if latest is None or slot > latest[0]:
                if latest is not None:
                    yield latest
                latest = slot, np.zeros(network.P, dtype=np.int8)
                empty = not (node or model)
                if empty:
                    continue
            p = network.number(node, model)
            if p < 0 or empty or latest[1][p]:
                says = "no placement of the scenario" if p < 0 else "a second time, or in an empty allocation"
                raise IdnError(f"{where}: node {node[:60]!r}, model {model[:60]!r}: {says}")
            latest[1][p] = 1
        if latest is None:
            raise IdnError(f"{path}: no allocation; must have that of slot 0")
        yield latest


def held_and_updates(changes: Changes) -> tuple[FloatArray, int]:
    """(P,) the part of the slots during which each placement was held, and how often what is placed changed."""
    held, updates, last = np.zeros(changes.network.P, dtype=np.int64), 0, 0
    before: IntArray = np.zeros(changes.network.P, dtype=np.int8)
    for slot, allocation in changes:
        held += (slot - last) * before.astype(np.int64)
        before, last, updates = allocation, slot, updates + 1
    return (held + (changes.slots - last) * before.astype(np.int64)) / changes.slots, updates


def read_placed(network: Network, path: Path, slot: int | None = None) -> IntArray:
    """(P,) what an ``allocations.csv`` has placed in a slot; None: in the last.

    Raises
    ------
    IdnError
        As `Changes`; if the ``slots.csv`` beside the file, where there is one, ends before that slot; or if the
        allocation is not feasible in this network.
    """
    beside = path.with_name("slots.csv")
    slots = len(read_slots(beside).gain) if beside.is_file() else None
    if slot is not None and slots is not None and slot >= slots:
        raise IdnError(f"{path}: slot {slot}; the run has slots 0 to {slots - 1}")
    with expecting(path, PLACED):
        for start, allocation in Changes(network, path, slots or MOST_VALUES):
            if slot is None or start <= slot:
                placed = allocation
    try:
        check(network, placed)
    except IdnError as error:
        raise IdnError(f"{path}: {error}") from None
    return placed


def fractional_json(network: Network, state: FloatArray) -> Iterator[str]:
    """The text of ``fractional.json``, an allocation file with a line per node, line by line."""
    before = "{"
    for v in np.flatnonzero(np.diff(network.node_start)).tolist():
        own = slice(int(network.node_start[v]), int(network.node_start[v + 1]))
        models = [network.model_names[m] for m in network.placement_model[own].tolist()]
        values = dict(zip(models, state[own].tolist(), strict=True))
        node = network.node_names[v]
        yield f"{before}{json.dumps(node)}:{json.dumps(values, separators=(',', ':'))}"
        before = ",\n"
    yield "}\n" if before != "{" else "{}\n"


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


def _rows(path: Path) -> Iterator[list[str]]:
    """The header and the rows of a CSV file, each as long as the header, one in memory at a time."""
    reader = csv.reader(read_lines(path), strict=True)
    width = None
    try:
        for line, row in enumerate(reader, 1):
            width = len(row) if width is None else width
            if len(row) != width:
                raise IdnError(f"{path}:{line}: {len(row)} values; must be {width}")
            yield row
    except csv.Error as error:
        raise IdnError(f"{path}:{reader.line_num}: not CSV: {error}") from None


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
