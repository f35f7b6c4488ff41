"""The CSV files that hold a trace: requests, and capacities where they vary."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym.common.files import read_text
from idn_gym.common.text import allowed, did_you_mean
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.kinds import CAPACITY, TRACE, expecting
from idn_gym.typing import FloatArray
from idn_gym.workload.trace import LARGEST, Trace, fitting

REQUEST_COLUMNS = ["slot", "task", "source", "requests"]
CAPACITY_COLUMNS = ["slot", "node", "model", "capacity"]
_MAX_BYTES = 2**30
_AT_ONCE = 64  # slots that are written at a time


def read_trace(network: Network, requests: Path, capacities: Path | None = None) -> Trace:
    """Read a request file (slot, task, source, requests) and, where capacities vary, a capacity file.

    The column `task` holds the service's name. Slots count from 0, T is the largest plus 1, missing rows are 0
    requests, or nominal capacity. With a capacity file capacities vary, whatever it says.

    Raises
    ------
    IdnError
        Naming file, line and value of the first fault; or if few rows make a table that is out of proportion.
    """
    types = network.type_index()
    rows = _Rows(requests, REQUEST_COLUMNS)
    entries = {}
    slots = 0
    for slot, task, source, value in rows:
        if (task, source) not in types:
            _refuse_type(network, rows.where, task, source)
        key = (slot, types[task, source])
        if key in entries:
            raise IdnError(f"{rows.where}: slot {slot}, task {task}, source {source} twice")
        entries[key] = value
        slots = max(slots, slot + 1)
    if slots == 0:
        raise IdnError(f"{requests}: no requests; a trace has at least one row")
    slots = fitting(requests, slots, network.R, len(entries))
    if capacities is None:
        nominal = network.capacities[None]
        return Trace(_filled(np.zeros((1, network.R)), slots, entries), nominal, varying=False)
    each = read_capacities(network, capacities, slots, len(entries))  # before the requests take their memory
    return Trace(_filled(np.zeros((1, network.R)), slots, entries), each, varying=True)


def read_capacities(network: Network, path: Path, slots: int | None = None, rows_of_trace: int = 0) -> FloatArray:
    """(T, P) capacities of a capacity file; nominal where it says nothing.

    Parameters
    ----------
    slots : T of the trace it belongs to; a row beyond is an error. None: the file's largest slot plus 1.
    rows_of_trace : of that trace's file; what the two may ask for grows with the rows of both.
    """
    nodes, models = network.node_number, network.model_number
    rows = _Rows(path, CAPACITY_COLUMNS)
    entries = {}
    largest = 0
    for slot, node, model, value in rows:
        if node not in nodes or model not in models:
            what, name, known = ("node", node, nodes) if node not in nodes else ("model", model, models)
            raise IdnError(f"{rows.where}: unknown {what} {name!r}; {allowed(name, known)}")
        p = network.number(node, model)
        if p < 0:
            raise IdnError(
                f"{rows.where}: {model} is no placement at {node}: it cannot run there, or is its repository"
            )
        if slots is not None and slot >= slots:
            raise IdnError(f"{rows.where}: slot {slot}; the trace ends with slot {slots - 1}")
        if (slot, p) in entries:
            raise IdnError(f"{rows.where}: slot {slot}, node {node}, model {model} twice")
        entries[slot, p] = value
        largest = max(largest, slot + 1)
    wanted = max(largest, 1) if slots is None else slots
    return _filled(network.capacities[None], fitting(path, wanted, network.P, rows_of_trace + len(entries)), entries)


def requests_csv(network: Network, trace: Trace) -> Iterator[str]:
    """The request file of a trace, slot by slot; `read_trace` reads it back to the same numbers."""
    yield _csv([REQUEST_COLUMNS])
    names = [quoted(pair) for pair in network.type_names]
    slot, silent = 0, False
    for part in trace.parts(_AT_ONCE):
        for requests in part.requests:
            asked = np.flatnonzero(requests > 0)
            silent = len(asked) == 0
            yield _slot_csv(slot, [names[rho] for rho in asked.tolist()], requests[asked])
            slot += 1
    if silent:  # keeps T
        yield f"{slot - 1},{names[0]},0\n"


def capacities_csv(network: Network, trace: Trace) -> Iterator[str]:
    """The capacity file of a trace, slot by slot: what differs from nominal."""
    yield _csv([CAPACITY_COLUMNS])
    nodes, models = ([quoted([name]) for name in names] for names in (network.node_names, network.model_names))
    slot = 0
    for part in trace.parts(_AT_ONCE):
        for t in range(part.slots):
            capacities = part.capacities_at(t)
            differing = np.flatnonzero(capacities != network.capacities)
            where = zip(
                network.placement_node[differing].tolist(), network.placement_model[differing].tolist(), strict=True
            )
            yield _slot_csv(slot, [f"{nodes[v]},{models[m]}" for v, m in where], capacities[differing])
            slot += 1


def quoted(names: Iterable[str]) -> str:
    """Names as they stand in a row of a CSV file."""
    return _csv([names])[:-1]


def header(path: Path) -> list[str]:
    """The first row of a file, by which traces and capacities are told from other files; empty if it is not CSV."""
    try:
        return next(csv.reader(io.StringIO(read_text(path, _MAX_BYTES)), strict=True), [])
    except csv.Error:
        return []


def number(value: float) -> str:
    """The shortest text that reads back to the same float, whole numbers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _slot_csv(slot: int, names: list[str], values: FloatArray) -> str:
    """The rows of a slot, whose names are quoted."""
    return "".join([f"{slot},{name},{number(value)}\n" for name, value in zip(names, values.tolist(), strict=True)])


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class _Rows:
    """The rows of a CSV file with exactly these columns: a slot, two names and a number >= 0."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns, self.line = path, columns, 1

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    def __iter__(self) -> Iterator[tuple[int, str, str, float]]:
        with expecting(self.path, TRACE if self.columns == REQUEST_COLUMNS else CAPACITY):
            reader = csv.reader(io.StringIO(read_text(self.path, _MAX_BYTES)), strict=True)
            self._refuse_columns(reader)
        try:
            for row in reader:
                self.line = reader.line_num
                if not row:
                    continue
                if len(row) != 4:
                    raise IdnError(f"{self.where}: {len(row)} values; must be {','.join(self.columns)}")
                yield self._slot(row[0]), row[1], row[2], self._number(row[3])
        except csv.Error as error:
            raise IdnError(f"{self.path}:{reader.line_num}: not CSV: {error}") from None

    def _refuse_columns(self, reader: Any) -> None:
        try:
            first: list[str] = next(reader, [])
        except csv.Error as error:
            raise IdnError(f"{self.path}:{reader.line_num}: not CSV: {error}") from None
        if first != self.columns:
            raise IdnError(f"{self.path}: columns {','.join(first)!r}; must be {','.join(self.columns)!r}")

    def _slot(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 12):
            raise IdnError(f"{self.where}: slot {text!r}; must be a whole number >= 0, of at most 12 digits")
        return int(text)

    def _number(self, text: str) -> float:
        try:
            value = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not 0.0 <= value <= LARGEST:  # also refuses nan
            raise IdnError(f"{self.where}: {self.columns[3]} {text!r}; must be a number from 0 to {LARGEST:g}")
        return value


def _filled(rest: FloatArray, slots: int, entries: dict[tuple[int, int], float]) -> FloatArray:
    table = np.repeat(rest, slots, axis=0)
    if entries:
        where = np.array(list(entries), dtype=np.int64)
        table[where[:, 0], where[:, 1]] = list(entries.values())
    return table


def _refuse_type(network: Network, where: str, task: str, source: str) -> None:
    word = "task" if network.scenario.services is None else "service"
    if task not in network.service_names:
        raise IdnError(f"{where}: unknown {word} {task!r}; {allowed(task, network.service_names)}")
    if source not in network.node_names:
        meant = did_you_mean(source, network.node_names)
        raise IdnError(f"{where}: unknown source {source!r}; {meant}it must be an entry node of the scenario")
    raise IdnError(f"{where}: no request type for {word} {task!r} from {source!r}; idn-gym show lists those there are")
