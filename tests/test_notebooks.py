"""Notebooks: every source runs on the smoke budget, and what is shipped executed is that source, without errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PATIENCE

pytestmark = pytest.mark.pages

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_source_runs_and_its_claims_hold(source: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "IDN_GYM_BUDGET": "smoke", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(source)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_executed_notebook_is_its_source(source: Path) -> None:
    notebook = json.loads(source.with_suffix(".ipynb").read_text())
    cells = ["".join(cell["source"]).strip() for cell in notebook["cells"] if cell["cell_type"] == "code"]
    _, *parts = re.split(r"^# %%", source.read_text(), flags=re.MULTILINE)
    written = [part.partition("\n")[2].strip() for part in parts if not part.startswith(" [markdown]")]
    assert cells == written, f"execute it again: python notebooks/build.py {source.stem}"
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs), "shipped without its plots"
    assert "IDN_GYM_BUDGET" in source.read_text()
    assert all(cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code")
