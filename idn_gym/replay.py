"""Public traces as request streams: read timestamps or counts, spread them over tasks and entry nodes.

A public trace is a CSV file with a header. One column says when: ``timestamp``, or ``second``, ``minute`` or ``hour``
(a number). Another says how many: ``count``, requests from then on, or ``rate``, requests/s on average over that
second, minute or hour; with timestamps it may be missing, and each row is one request. Names of columns are read in any
case; other columns and the order of the rows do not matter. The first slot begins at the earliest row; the last may be
cut short by the end of the trace.

The first timestamp says what all of a file are: a date in ISO 8601 with a hyphen after its year or a ``T`` before its
time (UTC where it names no zone), or else a plain number, of seconds. A number that can be no seconds since 1970, from
1e11 on, is one of milliseconds, from 1e14 on of microseconds, from 1e17 on of nanoseconds; stderr says so.
"""

from __future__ import annotations

import csv
import io
import math
import re
import sys
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from idn_gym.common.files import read_text
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.kinds import PUBLIC, expecting
from idn_gym.scenario.workloads import Burst, Zipf
from idn_gym.typing import FloatArray
from idn_gym.workload.popularity import popularity
from idn_gym.workload.trace import Trace, fitting

TWIN = "twin"  # the packaged file: synthetic, see `twin`

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_MOST_REQUESTS = 1e15  # in a slot: whole numbers up to here are exact
_MAX_BYTES = 2**30
_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-|[0-9]{8}[Tt]|[0-9]{4}W")  # how a date begins that nobody takes for a number
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Unit(NamedTuple):
    name: str
    per_second: float
    lowest: float = 0.0  # size of the plain numbers that are read in it


_NO_SECONDS = 1e11  # since 1970: beyond the year 5000
_NO_TIME = 1e20
_DATES = _Unit("dates", 1e6)
_SECOND = _Unit("seconds", 1.0)
_NUMBERS = (
    _SECOND,
    _Unit("milliseconds", 1e3, _NO_SECONDS),
    _Unit("microseconds", 1e6, 1e3 * _NO_SECONDS),
    _Unit("nanoseconds", 1e9, 1e6 * _NO_SECONDS),
)


def replay(network: Network, file: Path, seed: int, rate: float | None = None) -> Trace:
    """A stream of the counts in a public trace, each request of a task and entry node drawn by popularity.

    Parameters
    ----------
    file : see the module; ``twin`` is the packaged one.
    seed : of the multinomial draws that spread the counts.
    rate : requests/s that the counts are scaled to on average; default: as they are. Scaling keeps bursts and
        trend, but a count scaled up keeps the Poisson noise of the small one.

    Raises
    ------
    IdnError
        If the file is not as the module says, the scenario's workload has no popularity (it is of another kind than
        ``zipf`` and ``burst``), or the stream would be too large.
    """
    workload = network.scenario.workload
    if not isinstance(workload, Zipf | Burst):
        name = network.scenario.name
        raise IdnError(f"scenario {name}: counts are spread by the popularity of a workload of kind zipf or burst")
    with expecting(file, PUBLIC):
        counts = read_counts(file, network.scenario.slot_seconds, network.R)
    if rate is not None:
        if not 0.0 <= rate < math.inf:
            raise IdnError(f"rate: {rate}; must be a finite number >= 0, requests/s")
        if counts.sum() == 0.0:
            raise IdnError(f"{file}: no requests; nothing to scale to a rate")
        counts = counts * (rate * network.scenario.slot_seconds / counts.mean())
    if counts.max() > _MOST_REQUESTS:
        raise IdnError(f"{file}: {counts.max():g} requests in a slot; at most {_MOST_REQUESTS:g}")
    share = popularity(network, np.arange(len(counts)))
    drawn = np.random.default_rng(seed).multinomial(np.rint(counts).astype(np.int64), share)
    return Trace(drawn.astype(np.float64), network.capacities[None])


def read_counts(file: Path, slot_seconds: float, width: int = 1) -> FloatArray:
    """(T,) requests per slot in a public trace; see the module for what it holds.

    Parameters
    ----------
    width : values per slot in what is to be made of them; see `fitting`.

    Raises
    ------
    IdnError
        Naming file, line and value of the first fault; if slots are shorter than what the file counts by; or if few
        rows span slots out of proportion.
    """
    if str(file) == TWIN:
        text = (resources.files("idn_gym.library") / "traces" / f"{TWIN}.csv").read_text("utf-8")
    else:
        text = read_text(file, _MAX_BYTES)
    times, many, unit = _columns(str(file), text, slot_seconds)
    if not times:
        raise IdnError(f"{file}: no rows; a trace has at least one")
    when = np.array(times)  # as they are in the file until here: differences of large ones are exact
    slots = np.floor((when - when.min()) / (slot_seconds * unit.per_second))
    fitting(file, float(slots.max()) + 1.0, width, len(times))
    if unit.lowest:
        print(f"idn-gym: {file}: timestamps from {unit.lowest:g} on, read as {unit.name}", file=sys.stderr)
    return np.bincount(slots.astype(np.int64), many)


def _columns(source: str, text: str, slot_seconds: float) -> tuple[list[float], list[float], _Unit]:
    """When, in which unit, and how many requests, row by row."""
    times, many = [], []
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        when, clock = _time_column(source, columns, slot_seconds)
        count, factor = _count_column(source, columns, columns[when])
        for row in filter(None, reader):
            where = f"{source}:{reader.line_num}"
            if len(row) != len(columns):
                raise IdnError(f"{where}: {len(row)} values; the header has {len(columns)}")
            many.append(1.0 if count is None else factor * _number(f"{where}: {columns[count]}", row[count]))
            times.append(clock.read(f"{where}: {columns[when]}", row[when], reader.line_num))
    except csv.Error as error:
        raise IdnError(f"{source}:{reader.line_num}: not CSV: {error}") from None
    return times, many, clock.unit


class _Timestamps:
    """Reads the cells of a column `timestamp`; the first says what unit the others have to be of."""

    def __init__(self) -> None:
        self.unit, self._first = _SECOND, 0  # the line that says it

    def read(self, where: str, text: str, line: int) -> float:
        """A cell, in its unit."""
        value, unit = self._value(where, text)
        if not self._first:
            self.unit, self._first = unit, line
        if unit != self.unit:
            says = f"{unit.name}, but {self.unit.name} in line {self._first}; one file has one format"
            raise IdnError(f"{where} {text!r}: {says}")
        return value

    def _value(self, where: str, text: str) -> tuple[float, _Unit]:
        value = _plain(text)
        if abs(value) < _NO_TIME:
            return value, next(unit for unit in reversed(_NUMBERS) if abs(value) >= unit.lowest)
        try:
            date = datetime.fromisoformat(text.strip()) if _DATE.match(text.strip()) else None
        except ValueError:
            date = None
        if date is None:
            raise IdnError(f"{where} {text!r}; must be a number or a date in ISO 8601")
        since = (date if date.tzinfo else date.replace(tzinfo=UTC)) - _EPOCH
        return since // timedelta(microseconds=1), _DATES


class _Numbers:
    """Reads the cells of a column `second`, `minute` or `hour`."""

    unit = _SECOND

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def read(self, where: str, text: str, line: int) -> float:
        """A cell, in seconds."""
        value = self._seconds * _plain(text)
        if not abs(value) < _NO_SECONDS:
            hint = "dates and milliseconds go in a column timestamp"
            raise IdnError(f"{where} {text!r}; must be a number, of less than {_NO_SECONDS:g} s; {hint}")
        return value


def _time_column(source: str, columns: list[str], slot_seconds: float) -> tuple[int, _Timestamps | _Numbers]:
    """Which column says when, and what reads it."""
    found = _one_of(source, columns, ("timestamp", *_SECONDS))
    if found is None:
        raise IdnError(f"{source}: columns {','.join(columns)!r}; one must be timestamp, second, minute or hour")
    name = columns[found]
    if name == "timestamp":
        return found, _Timestamps()
    unit = _SECONDS[name]
    if unit > slot_seconds:
        raise IdnError(
            f"{source}: counts by the {name}, slots of {slot_seconds:g} s; set slot_seconds={unit:g} or more"
        )
    return found, _Numbers(unit)


def _count_column(source: str, columns: list[str], time: str) -> tuple[int | None, float]:
    """Which column says how many, if any, and what its numbers are to be multiplied by."""
    found = _one_of(source, columns, ("count", "rate"))
    if found is None and time in _SECONDS:
        raise IdnError(f"{source}: columns {','.join(columns)!r}; with {time}, one must be count or rate")
    if found is None or columns[found] == "count":
        return found, 1.0
    if time not in _SECONDS:
        raise IdnError(f"{source}: a rate goes with a column second, minute or hour; with timestamp, give a count")
    return found, _SECONDS[time]


def _one_of(source: str, columns: list[str], names: tuple[str, ...]) -> int | None:
    found = [index for index, name in enumerate(columns) if name in names]
    if len(found) > 1:
        raise IdnError(f"{source}: columns {','.join(columns)!r}; only one of {', '.join(names)} is allowed, once")
    return found[0] if found else None


def _number(where: str, text: str) -> float:
    value = _plain(text)
    if not 0.0 <= value <= 1e15:
        raise IdnError(f"{where} {text!r}; must be a number >= 0")
    return value


def _plain(text: str) -> float:
    """A plain number, else nan."""
    return float(text) if _PLAIN.fullmatch(text.strip()) else math.nan
