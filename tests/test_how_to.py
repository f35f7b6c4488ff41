"""The pages on code of one's own: what they show is what runs, from top to bottom, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PATIENCE, environment

pytestmark = pytest.mark.pages

HOW_TO = Path(__file__).resolve().parents[1] / "docs" / "how-to"
PAGES = [HOW_TO / "agent.md", *sorted(HOW_TO.glob("own-*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(?:# (\w+\.py)\n)?(.*?)^```", re.MULTILINE | re.DOTALL)
SCRIPTS = Path(sys.executable).parent


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    """A block that begins with the name of a file is that file."""
    blocks = BLOCK.findall(page.read_text())
    assert len(blocks) == len(re.findall("^```(?:python|sh)$", page.read_text(), re.MULTILINE))
    variables = environment() | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    for kind, file, text in blocks:
        if file:
            (tmp_path / file).write_text(text)
            continue
        how = ["bash", "-euo", "pipefail", "-c"] if kind == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*how, text], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-1000:]}{done.stderr[-2000:]}"


def test_an_agent_takes_fifteen_lines() -> None:
    source = next(text for _, file, text in BLOCK.findall((HOW_TO / "agent.md").read_text()) if file == "mine.py")
    assert len([line for line in source.splitlines() if line.strip()]) <= 15
