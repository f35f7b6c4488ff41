"""The folder that training writes: what was asked for, the curve so far, and what it takes to go on.

``train.json`` resolved configuration, ``curve.csv`` one row per chapter, ``state.pt`` where to go on from,
``tensorboard/`` if asked for, and last, as the mark of completion, the checkpoint: ``policy.pt`` and ``policy.json``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idn_agents.learning.checkpoint import Policy, load_tensors, save_policy, save_tensors
from idn_gym.errors import IdnError
from idn_gym.records import read_json, versions, write_text
from idn_gym.scenario_file import read_text

Row = dict[str, float]


class TrainingFolder:
    """One training run on disk; every file is written whole or not at all.

    Parameters
    ----------
    about : what the result depends on, as JSON values; a folder is resumed with the same alone.
    command : what was typed.

    Raises
    ------
    IdnError
        If the folder is in use without `resume`, or was made by another command.
    """

    def __init__(
        self, path: Path, about: dict[str, Any], resume: bool, command: Sequence[str], tensorboard: bool = False
    ) -> None:
        self.path, self.about = path, json.loads(json.dumps(about))
        self.rows: list[Row] = []
        self.state: Any = None
        if path.exists() and not path.is_dir():
            raise IdnError(f"{path}: is a file; --output takes a folder")
        if (path / "train.json").exists() and resume:
            self._resume()
        elif path.exists() and any(path.iterdir()) and not resume:
            raise IdnError(f"{path}: not empty; give --resume to go on with the training there, or another folder")
        else:
            path.mkdir(parents=True, exist_ok=True)
            kept = {"format": "idn-gym/training-1", "command": list(command), **self.about, "versions": versions()}
            write_text(path / "train.json", json.dumps(kept, indent=1) + "\n")
        self._writer = _writer(path / "tensorboard") if tensorboard else None

    @property
    def done(self) -> bool:
        """Whether training has come to its end."""
        return (self.path / "policy.json").exists()

    def append(self, row: Row, state: Any) -> None:
        """Add a row to the curve, and keep where to go on from."""
        self.rows.append(row)
        write_text(self.path / "curve.csv", _csv(self.rows))
        save_tensors(self.path / "state.pt", state | {"rows": len(self.rows)})
        if self._writer is not None:
            for key, value in row.items():
                self._writer.add_scalar(f"train/{key}", value, int(row["steps"]))
            self._writer.flush()

    def finish(self, policy: Policy) -> None:
        """Write the checkpoint."""
        figures = {key: self.rows[-1][key] for key in ("steps", "gain_per_request") if self.rows}
        brief = {key: value for key, value in self.about.items() if key != "scenarios"}
        names = [scenario["name"] for scenario in self.about["scenarios"]]
        save_policy(self.path, policy, {"scenarios": names, **brief, **figures})
        if self._writer is not None:
            self._writer.close()

    def _resume(self) -> None:
        kept = read_json(self.path / "train.json")
        differing = [key for key in self.about if kept.get(key) != self.about[key]]
        if differing:
            raise IdnError(
                f"{self.path}: holds training with other {', '.join(differing)}; resume with the same command"
            )
        if (self.path / "state.pt").exists():
            self.state = load_tensors(self.path / "state.pt")
            if not isinstance(self.state, dict) or not isinstance(self.state.get("rows"), int):
                raise IdnError(f"{self.path / 'state.pt'}: not what training writes")
            self.rows = read_curve(self.path / "curve.csv")[: self.state["rows"]]


def read_curve(path: Path) -> list[Row]:
    """The rows of a ``curve.csv``."""
    lines = csv.DictReader(io.StringIO(read_text(path)))
    try:
        return [{key: float(value) for key, value in line.items()} for line in lines]
    except (TypeError, ValueError):
        raise IdnError(f"{path}: not a learning curve that training wrote") from None


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
        raise IdnError(f"--tensorboard needs TensorBoard; pip install 'idn-gym[rl]' ({error})") from None
    return SummaryWriter(str(path))
