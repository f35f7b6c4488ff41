"""What a page shows of a record folder: words, tables, pictures, and the data of views that a reader can work with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idn_gym.report.layout import Table


@dataclass(frozen=True)
class Picture:
    """A PNG that lies in a record folder."""

    path: Path
    caption: str  # says what is to be seen, also to those who do not see it


@dataclass(frozen=True)
class Part:
    """A section of a page: what was run, what came of it, and how to run it again.

    What is shown by agent has looks by agent, and goes by the same choice of agents on the whole page.
    """

    title: str
    facts: Mapping[str, str]  # what was run: scenario, seeds, slots, ...
    command: Sequence[str] = ()  # that runs it again, less where its records go
    versions: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)  # SHA-256 by file
    tables: Sequence[Table[Any]] = ()
    more: Sequence[Table[Any]] = ()  # that are folded away
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()  # of what is left out or thinned
    views: Mapping[str, Any] | None = None  # JSON values, see `settings.views`
    hindsight: Collection[str] = ()  # the agents of the views that have seen the streams
    rows: Sequence[Mapping[str, Any]] = ()  # of runs, as `table.csv` has them: what is compared
    parts: Sequence[Part] = ()  # below this one
