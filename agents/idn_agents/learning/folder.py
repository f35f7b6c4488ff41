"""The folder that training writes: what was asked for, the curve so far, and what it takes to go on.

``train.json`` resolved configuration, ``curve.csv`` one row per chapter, ``state.pt`` where to go on from,
``tensorboard/`` if asked for, and last, as the mark of completion, the checkpoint: ``policy.pt`` and ``policy.json``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idn_agents.learning.checkpoint import OVERHEAD, Policy, load_tensors, save_policy, save_tensors
from idn_gym.common.extras import missing
from idn_gym.common.files import read_text, write_text
from idn_gym.common.parameters import shown
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import (
    described,
    other_versions,
    read_description,
    refuse_file,
    resumed,
    versions,
)

FORMAT = "idn-gym/training-1"
_COPIES = 32  # of the weights in a state, at most: critics, their targets, moments of all of them

Row = dict[str, float]


class TrainingFolder:
    """One training run on disk; every file is written whole or not at all.

    Parameters
    ----------
    about : what the result depends on, as JSON values; a folder is resumed with the same alone.
    command : what was typed.
    weights : number of those of the policy, which says how large a state may be.

    Raises
    ------
    IdnError
        If the folder is in use without `resume`, was made by another command or with other versions, or a file in it
        is not what training wrote.
    """

    def __init__(
        self,
        path: Path,
        about: dict[str, Any],
        resume: bool,
        command: Sequence[str],
        tensorboard: bool = False,
        weights: int = 0,
    ) -> None:
        self._most_bytes = _COPIES * 4 * weights + OVERHEAD
        self.path, self.about = path, json.loads(json.dumps(about))
        self.rows: list[Row] = []
        self.state: Any = None
        refuse_file(path)
        if resumed(path / "train.json", resume, "training"):
            self._resume()
        else:
            path.mkdir(parents=True, exist_ok=True)
            write_text(path / "train.json", json.dumps(described(FORMAT, command, self.about), indent=1) + "\n")
        self._writer = _writer(path / "tensorboard") if tensorboard else None

    @property
    def done(self) -> bool:
        """Whether training has come to its end."""
        return (self.path / "policy.json").exists()

    def append(self, row: Row, state: Any) -> None:
        """Add a row to the curve, and keep where to go on from."""
        self.rows.append(row)
        curve = _csv(self.rows)
        write_text(self.path / "curve.csv", curve)
        save_tensors(self.path / "state.pt", state | {"rows": len(self.rows), "curve": _digest(curve)})
        if self._writer is not None:
            for key, value in row.items():
                self._writer.add_scalar(f"train/{key}", value, int(row["steps"]))
            self._writer.flush()

    def finish(self, policy: Policy) -> None:
        """Write the checkpoint."""
        last = self.rows[-1] if self.rows else {}
        figures: dict[str, Any] = {key: last[key] for key in ("steps", "gain_per_request") if key in last}
        brief = {key: value for key, value in self.about.items() if key != "scenarios"}
        names = [scenario["name"] for scenario in self.about["scenarios"]]
        save_policy(self.path, policy, {"scenarios": names, **brief, **figures})
        if self._writer is not None:
            self._writer.close()

    def _resume(self) -> None:
        about, state, curve = (self.path / name for name in ("train.json", "state.pt", "curve.csv"))
        kept = read_description(about, FORMAT)
        differing = [key for key in self.about if kept.get(key) != self.about[key]]
        if differing:
            raise IdnError(
                f"{self.path}: holds training with other {', '.join(differing)}; resume with the same command"
            )
        _refuse_other_versions(about, kept.get("versions"))
        if not state.exists():
            if self.done or (curve.exists() and len(read_curve(curve)) > 1):
                raise IdnError(f"{state}: is not there, and without it training cannot go on; train anew")
            return  # interrupted before it was first written
        self.state = load_tensors(state, self._most_bytes)
        rows, digest = (self.state.get(key) if isinstance(self.state, dict) else None for key in ("rows", "curve"))
        if type(rows) is not int or rows < 1 or not isinstance(digest, str):
            raise IdnError(f"{state}: not what this training wrote: it does not say how far the curve went")
        found = read_curve(curve)
        if len(found) not in (rows, rows + 1):  # one more where it was interrupted between the two files
            raise IdnError(f"{curve}: {len(found)} rows; training goes on after {rows}, by state.pt")
        self.rows = found[:rows]
        if digest != _digest(_csv(self.rows)):
            raise IdnError(f"{state}: not what this training wrote, or curve.csv is not: they do not belong together")


def read_curve(path: Path) -> list[Row]:
    """The rows of a ``curve.csv``.

    Raises
    ------
    IdnError
        If it has no such rows: finite numbers under the names of the first line, ``steps`` first, and those ascending.
    """
    lines = csv.DictReader(io.StringIO(read_text(path)))
    before = 0.0
    rows = []
    try:
        for number, line in enumerate(lines, 2):
            row = {key: float(value) for key, value in line.items()}
            if next(iter(row)) != "steps" or not all(map(math.isfinite, row.values())) or row["steps"] <= before:
                raise IdnError(f"{path}:{number}: not the row of a learning curve that training wrote")
            before = row["steps"]
            rows.append(row)
    except (TypeError, ValueError, csv.Error) as error:
        if isinstance(error, IdnError):
            raise
        raise IdnError(f"{path}: not a learning curve that training wrote") from None
    return rows


def _refuse_other_versions(path: Path, kept: Any) -> None:
    """Raise unless training began with the versions that are here: it would not go on as it began."""
    here = versions()
    kept = kept if isinstance(kept, dict) else {}
    if other := other_versions(kept, here):
        name = other[0]
        more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
        was, now = (shown(found[name]) if name in found else "none" for found in (kept, here))
        raise IdnError(f"{path}: made with another version of {shown(name)}: {was}, here {now}{more}; train anew")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([repr(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _writer(path: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise missing("rl", "--tensorboard", "tensorboard", error) from None
    return SummaryWriter(str(path))
