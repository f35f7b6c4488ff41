"""The README: what it tells a reader to type works, and its table of environments is the registry's.

And the page of trainers: what `make clients` tries is all of it.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

from command_line import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SCRIPTS = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_python_blocks_run_one_after_the_other(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("ms saved per request") == 10


def test_own_scenario_and_trace_as_typed(tmp_path: Path) -> None:
    [typed] = [block for block in blocks("sh") if "mine.yaml" in block]
    environment = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "runs" / "mine" / "ntag.png").exists()


def test_table_of_environments_is_what_list_says() -> None:
    done = subprocess.run([SCRIPTS / "idn-gym", "list", "--json"], capture_output=True, text=True, check=True)
    for row in json.loads(done.stdout)["scenarios"]:
        sizes = [f"{row[axis]:,}" for axis in "VMPRK"]
        line = f"| `{row['id']}` | `{row['name']}` | {' | '.join(sizes)} | {row['horizon']} |"
        assert line in README, f"missing or out of date: {line}"


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.search(r"\b[A-Z]+_TABLES?\b|\bREADING\b", README)
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).exists() for picture in pictures)


def test_every_program_of_the_page_of_trainers_is_one_that_is_tried() -> None:
    page = (ROOT / "docs" / "how-to" / "trainers.md").read_text()
    runner = runpy.run_path(str(ROOT / "clients" / "run.py"))
    sections = runner["sections"]()
    assert list(sections) == re.findall("^## (.+)", page, flags=re.MULTILINE)
    assert len(sections) == page.count("```python\n") == page.count("```sh\n")
    for title, (packages, program) in sections.items():
        compile(program, title, "exec")
        assert runner["ID"] in program
        assert packages[0].startswith("idn-gym")
        assert re.search(rf"^\| {re.escape(title)} \|.*\| ok \| ok \|$", page, flags=re.MULTILINE)
