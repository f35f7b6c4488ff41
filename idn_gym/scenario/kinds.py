"""What kind of file one is, told by its content, so that one given to the wrong command is called by its name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from idn_gym.common.files import parse_json, read_beginning
from idn_gym.errors import IdnError
from idn_gym.scenario.schema import Content
from idn_gym.scenario.yaml_file import parse_yaml

_MOST_BYTES = 2**20  # of a file, to tell its kind by; what is longer is told by how it begins


class Kind(NamedTuple):
    """A kind of file: what people call it, and where it goes."""

    name: str
    use: str


_EVALUATE = "idn-gym evaluate SCENARIO --allocation FILE --requests TRACE"
SCENARIO = Kind("a scenario file", "idn-gym run FILE --agent infida")
SWEEP = Kind("a sweep file", "idn-gym sweep FILE")
CERTIFICATE = Kind("a certificate", "idn-gym verify FILE")
TRACE = Kind("a trace file", "idn-gym run SCENARIO --agent infida --trace FILE")
CAPACITY = Kind("a capacity file", "idn-gym run SCENARIO --agent infida --trace TRACE --capacities FILE")
ALLOCATION = Kind("an allocation file", _EVALUATE)
PLACED = Kind("the allocations.csv of a run", f"{_EVALUATE} --slot N")
SLOTS = Kind("the slots.csv of a run", "idn-gym check FILE")
PUBLIC = Kind("a public trace", "idn-gym replay SCENARIO FILE, which makes a trace file of it")
GRAPH = Kind(
    "a graph file", "the key topology of a scenario file; or idn_gym.topology in Python, read_graph and nodes_and_links"
)
AGENT = Kind("a Python file", "idn-gym run SCENARIO --agent FILE:CLASS")
RUN = Kind("the run.json of a record folder", "idn-gym run with --output FOLDER --resume")
RESULT = Kind("the result.json of a record folder", "idn-gym run with --output FOLDER --resume")
SWEPT = Kind("the sweep.json of a sweep's folder", "idn-gym sweep with --output FOLDER --resume")
TABLE = Kind("the table.csv of a sweep", "any program for tables")
TRAINING = Kind("a file of a training folder", "idn-gym run SCENARIO --agent ppo:path=FOLDER")
RECORD_FOLDER = Kind(
    "the record folder of a run", "its requests.csv to --trace, an allocations.csv in it to idn-gym evaluate"
)
AGENT_FOLDER = Kind("the folder of an agent in a record", "its allocations.csv to idn-gym evaluate")
SWEEP_FOLDER = Kind("the folder of a sweep", "idn-gym sweep with --output FOLDER --resume")
TRAINING_FOLDER = Kind("the folder of a training", "idn-gym run SCENARIO --agent ppo:path=FOLDER")
FOLDER = Kind("a folder", "")

_FORMATS = {
    "scenario": SCENARIO,
    "sweep": SWEEP,
    "certificate": CERTIFICATE,
    "run": RUN,
    "training": TRAINING,
    "policy": TRAINING,
}
_COLUMNS = {
    ("slot", "task", "source", "requests"): TRACE,
    ("slot", "node", "model", "capacity"): CAPACITY,
    ("slot", "node", "model"): PLACED,
}
_FOLDERS = {
    "run.json": RECORD_FOLDER,
    "result.json": AGENT_FOLDER,
    "sweep.json": SWEEP_FOLDER,
    "policy.json": TRAINING_FOLDER,
}
_FORMAT = re.compile(r"""["']?format["']?\s*:\s*["']?idn-gym/(\w+)-[0-9]""")


def kind_of(path: Path) -> Kind | None:
    """The kind of a file or folder; None where there is none, or it is like none that this library knows."""
    if path.is_dir():
        return next((kind for name, kind in _FOLDERS.items() if (path / name).is_file()), FOLDER)
    if path.suffix.lower() in (".gml", ".graphml"):
        return GRAPH if path.exists() else None
    try:
        content = read_beginning(path, _MOST_BYTES + 1)
    except IdnError:
        return None
    text = content[:_MOST_BYTES].decode("utf-8-sig", "ignore")
    if path.suffix.lower() == ".py":
        return AGENT
    if (kind := _of_columns(text)) is not None or path.suffix.lower() == ".csv":
        return kind
    return _of_values(path, text, whole=len(content) <= _MOST_BYTES)


@contextmanager
def expecting(path: Path, *kinds: Kind) -> Iterator[None]:
    """Where reading a file as one of these kinds fails and it plainly is of another, say that.

    Raises
    ------
    IdnError
        In place of the reader's own, naming what the file is and which command takes it.
    """
    try:
        yield
    except IdnError as error:
        found = kind_of(path)
        if found is None or found in kinds:
            raise
        raise misplaced(path, found, kinds[0]) from error


def misplaced(path: Path, found: Kind, wanted: Kind | None = None) -> IdnError:
    """The error about a file that is of another kind than the one wanted."""
    barred = "cannot be read: " if path.is_dir() else ""
    instead = f", not {wanted.name}" if wanted else ""
    goes = f"; it goes to: {found.use}" if found.use else ""
    return IdnError(f"{path}: {barred}this is {found.name}{instead}{goes}")


def _of_columns(text: str) -> Kind | None:
    """The kind of a table, by its first row."""
    try:
        columns = next(csv.reader(text.splitlines()[:1], strict=True), [])
    except csv.Error:
        return None
    if (kind := _COLUMNS.get(tuple(columns))) is not None:
        return kind
    if columns[:4] == ["slot", "requests", "gain", "cost"]:
        return SLOTS
    if {"scenario", "seed", "agent", "ntag"} <= set(columns):
        return TABLE
    lower = {column.strip().lower() for column in columns}
    whens, counts = lower & {"timestamp", "second", "minute", "hour"}, lower & {"count", "rate"}
    return PUBLIC if ("timestamp" in whens and len(columns) > 1) or (whens and counts) else None


def _of_values(path: Path, text: str, whole: bool) -> Kind | None:
    """The kind of a JSON or YAML file, by its format or, where it has none, by its keys."""
    if not whole:
        named = _FORMAT.search(text[:10_000])
        return _FORMATS.get(named[1]) if named else None
    try:
        values = (parse_json if path.suffix.lower() == ".json" else parse_yaml)(text, str(path))
    except IdnError:
        return None
    if not isinstance(values, dict):
        return None
    named = re.match(r"idn-gym/(\w+)-", str(values.get("format")))
    if named and named[1] in _FORMATS:
        return SWEPT if named[1] == "sweep" and "streams" in values else _FORMATS[named[1]]
    keys = set(values)
    if {"agent", "ntag", "seconds"} <= keys:
        return RESULT
    if {"agents", "seeds", "scenarios"} & keys and not {"nodes", "models"} & keys:
        return SWEEP
    if keys & {"format", "tasks"} or len(keys & set(Content.model_fields)) > 1:
        return SCENARIO
    return ALLOCATION if values and all(map(_is_held, values.values())) else None


def _is_held(value: Any) -> bool:
    """Whether it may be what a node holds, in an allocation file."""
    if isinstance(value, dict):
        return all(isinstance(fraction, int | float) for fraction in value.values())
    return isinstance(value, list) and all(isinstance(model, str) for model in value)
