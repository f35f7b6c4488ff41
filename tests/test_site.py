"""Pages say at their top what they answer, and the site has every page, command and public name."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
import site_pages
import typer.main
import yaml

from idn_gym.cli import program

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_begins_with_what_it_answers_in_three_lines(page: Path) -> None:
    text = re.sub(r"<!--.*?-->\n*", "", page.read_text("utf-8"), flags=re.DOTALL)
    title, opening, *_ = text.split("\n\n")
    assert title.startswith("# ")
    assert "?" in opening, f"{page.name} begins with no question: {opening}"
    assert len(opening.splitlines()) <= 3, opening


def test_every_page_is_on_the_way_through_the_site() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    led_to = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    assert {str(page.relative_to(DOCS)) for page in PAGES} - led_to == set()


def test_every_command_has_a_row_and_every_row_a_command() -> None:
    program.add_commands()
    commands = set(typer.main.get_command(program.app).commands)
    rows = re.findall(r"^\| (`idn-gym .*?`) \| ", (DOCS / "commands.md").read_text("utf-8"), re.MULTILINE)
    shown = {name for row in rows for name in re.findall(r"`idn-gym ([\w-]+)", row)}
    assert shown == commands


def test_every_public_name_is_documented_and_in_the_reference() -> None:
    page = site_pages._python()
    for package, names in site_pages.public().items():
        for name, home in names.items():
            assert inspect.getdoc(getattr(importlib.import_module(package), name)), f"{package}.{name} says nothing"
            assert f"::: {home}\n" in page
