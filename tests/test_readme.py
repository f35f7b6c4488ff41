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

import networkx
import pytest
import yaml
from command_line import PATIENCE, environment

import idn_gym
from idn_gym import load_scenario

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SCRIPTS = Path(sys.executable).parent
BLOCK = re.compile(r"^```(python|sh)\n(?:# (\w+\.py)\n)?(.*?)^```", re.MULTILINE | re.DOTALL)


def test_ten_lines_of_python(tmp_path: Path) -> None:
    [program] = [text for kind, file, text in BLOCK.findall(README) if kind == "python" and not file]
    assert len([line for line in program.splitlines() if line.strip()]) <= 12
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("ms saved per request") == 10


@pytest.mark.pages
def test_own_network_requests_and_agent_as_typed(tmp_path: Path) -> None:
    """From top to bottom in an empty folder: a block that begins with the name of a file is that file."""
    follow(own(), tmp_path)
    runs = tmp_path / "runs" / "mine"
    done = [json.loads(path.read_text()) for path in runs.glob("*/result.json")]
    assert {result["agent"].rpartition(":")[2] for result in done} == {"Always", "infida", "optimum"}
    pictures = {"ntag.png", "latency-inaccuracy.png", "allocation.png", "regret.png"}
    assert {path.name for path in runs.glob("*.png")} == pictures
    seeds = tmp_path / "runs" / "seeds"
    assert {path.name for path in seeds.glob("seed-*")} == {f"seed-{seed}" for seed in range(5)}
    assert {path.name for path in seeds.glob("*.png")} == {"ntag.png", "latency-inaccuracy.png"}


def test_own_network_from_a_graph_file(tmp_path: Path) -> None:
    """What the comment beside the graph offers instead of it."""
    page = (ROOT / "docs" / "how-to" / "own-files.md").read_text()
    [program] = [(kind, file, text) for kind, file, text in BLOCK.findall(page) if file == "metro.py"]
    drawn, _, read = re.search(r"^graph = (.*?)  # (or) (.*)$", program[2], flags=re.MULTILINE).groups()
    networkx.write_graphml(networkx.path_graph(["core", "street", "square"]), tmp_path / "metro.graphml")
    text = program[2].replace(drawn, read).replace("import networkx as nx", "import idn_gym.topology")
    follow([(program[0], program[1], text), ("sh", "", "python metro.py && idn-gym check metro.yaml")], tmp_path)
    nodes = load_scenario(tmp_path / "metro.yaml").nodes
    assert [(node.name, bool(node.repository)) for node in nodes] == [
        ("core", True),
        ("street", False),
        ("square", False),
    ]


def own() -> list[tuple[str, str, str]]:
    """Kind, file name or "", and text of each block of the section on what is one's own."""
    [section] = [part for part in README.split("\n## ") if part.startswith("Your own")]
    return BLOCK.findall(section)


def follow(typed: list[tuple[str, str, str]], folder: Path) -> None:
    """Save the files and run the commands, one block after the other, as a reader would in an empty folder."""
    variables = environment() | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    for kind, file, text in typed:
        if file:
            (folder / file).write_text(text)
            continue
        assert kind == "sh"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-1000:]}{done.stderr[-2000:]}"


def test_table_of_environments_is_what_list_says() -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text()
    done = subprocess.run([SCRIPTS / "idn-gym", "list", "--json"], capture_output=True, text=True, check=True)
    for row in json.loads(done.stdout)["scenarios"]:
        sizes = [f"{row[axis]:,}" for axis in "VMPRK"]
        line = f"| `{row['id']}` | `{row['name']}` | {' | '.join(sizes)} | {row['horizon']} |"
        assert line in page, f"missing or out of date: {line}"


def test_the_reproduction_is_as_it_is() -> None:
    [counts] = re.findall(r"^Of [\d,]+ claims .*\.$", (ROOT / "docs" / "reproduction.md").read_text(), re.MULTILINE)
    assert counts.rstrip(".") in README


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


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


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == idn_gym.__version__
    assert f"## {idn_gym.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
