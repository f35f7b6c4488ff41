"""What the site has beside what is written: pages made of the code; links out of `docs` lead to the source."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import tables

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)\s#]+)(#[^)]*)?(\))")
MADE = re.compile(r"^(\*\w+\.json, \d{4}-.*\*)$", re.MULTILINE)
HIDDEN = ("show_root_heading", "show_root_toc_entry", "show_bases", "members")  # of an agent all but its docstring
MODULES = ("topology", "catalog", "wrappers", "sb3", "multi_agent", "datasets", "replay", "errors")


def on_files(files: Files, config: Any) -> Files:
    """Add what is generated."""
    from mkdocs.structure.files import File

    pages = {
        "index.md": _start(),
        "reference/commands.md": _commands(),
        "reference/agents.md": _agents(),
        "reference/files.md": _formats(),
        "reference/python.md": _python(),
    }
    scenarios = _scenarios()
    for name, text in (pages | scenarios).items():
        files.append(File.generated(config, name, content=text))
    [section] = [entry for entry in config.nav if "Scenarios" in entry]
    section["Scenarios"] = ["scenarios.md", *scenarios]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links that leave `docs` lead to the source; what made a table is small; a figure keeps its spread beside it."""
    here = PurePosixPath("docs") / PurePosixPath(page.file.src_uri).parent

    def led(match: re.Match[str]) -> str:
        parts: list[str] = []
        for part in (*here.parts, *PurePosixPath(match[2]).parts):
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        if parts[:1] == ["docs"] and not parts[-1].endswith(".py"):
            return match[0]
        kind = "tree" if (ROOT / "/".join(parts)).is_dir() else "blob"
        return f"{match[1]}{config.repo_url}/{kind}/main/{'/'.join(parts)}{match[3] or ''}{match[4]}"

    together = LINK.sub(led, markdown).replace(" ± ", "\u00a0±\u00a0").replace(" % |", "\u00a0% |")
    return MADE.sub(r"\1\n{ .made }", together)


def _start() -> str:
    """The README, seen from within `docs`."""
    text = (ROOT / "README.md").read_text("utf-8")

    def inside(match: re.Match[str]) -> str:
        path = match[2].removeprefix("docs/") if match[2].startswith("docs/") else f"../{match[2]}"
        return f"{match[1]}{path}{match[3] or ''}{match[4]}"

    return LINK.sub(inside, text)


def _scenarios() -> dict[str, str]:
    """A page per id: what it is, its sizes, where its figures come from, its workload."""
    from idn_gym.library.load import load_scenario
    from idn_gym.library.names import SCENARIO_OF_ID
    from idn_gym.model.network import Network
    from idn_gym.report.tables import SIZES, sizes
    from idn_gym.scenario.file import to_yaml

    pages = {}
    for env_id, name in SCENARIO_OF_ID.items():
        scenario = load_scenario(name)
        network = Network.compile(scenario)
        rows = [f"| {axis} | {about} | {sizes(network)[axis]:,} |" for axis, about in SIZES.items()]
        workload = to_yaml(scenario).partition("workload:")[2].partition("\nprovenance:")[0].strip()
        sources = [f"| `{key}` | {text} |" for key, text in scenario.provenance.items()]
        pages[f"scenarios/{name}.md"] = "\n".join(
            [
                f"# {name}",
                "",
                f"Made by `gymnasium.make({env_id!r})`; its file: `idn-gym show {name} --yaml`. "
                f"Slots of {scenario.slot_seconds:g} s, horizon {scenario.horizon:,}, "
                f"alpha {scenario.accuracy_weight:g} ms per percentage point.",
                "",
                "| axis | what | length |",
                "|---|---|---|",
                *rows,
                "",
                "```yaml",
                f"workload: {workload}",
                "```",
                "",
                *(["## Where its figures come from", "", "| key | source |", "|---|---|", *sources] if sources else []),
            ]
        )
    return pages


def _commands() -> str:
    """Every command and its options, from the program itself."""
    import typer.main

    from idn_gym.cli import program

    program.add_commands()
    group = typer.main.get_command(program.app)
    parts = ["# Every option", "", "What `idn-gym COMMAND --help` says, of all commands.", ""]

    def section(command: Any, name: str, level: int) -> None:
        parts.extend([f"{'#' * level} {name}", "", (command.help or "").strip(), ""])
        rows = []
        for option in command.params:
            shown = (
                ", ".join(f"`{each}`" for each in option.opts)
                if option.opts[0].startswith("-")
                else f"`{option.name.upper()}`"
            )
            about = " ".join((getattr(option, "help", None) or "").split()).replace("|", "\\|")
            rows.append(f"| {shown} | {about} |")
        if rows:
            parts.extend(["| option | |", "|---|---|", *rows, ""])
        for inner, sub in sorted(getattr(command, "commands", {}).items()):
            section(sub, f"{name} {inner}", level + 1)

    for name, command in sorted(group.commands.items()):
        section(command, name, 2)
    return "\n".join(parts)


def _agents() -> str:
    """Registered agents, by their docstrings and by what was measured."""
    from idn_gym import plugins

    study, results = "agents.py", "agents.json"
    measured = tables.tables("agents", results)
    parts = ["# Registered agents", "", "What is each, what does it take, and what does it reach?", ""]
    parts += ["On the command line `name:key=value,key=value`; beside each other: [agents](../agents.md).", ""]
    for name in plugins.names(plugins.AGENTS):
        found = plugins.load(plugins.AGENTS, name)
        taken = inspect.signature(found).parameters.values()
        defaults = [f"{each.name}={each.default}" if each.default is not each.empty else each.name for each in taken]
        parts += [f"## {name}", "", f"`{name}{':' * bool(defaults)}{','.join(defaults)}`", ""]
        hidden = [f"      {key}: false" for key in HIDDEN]
        parts += [f"::: {found.__module__}.{found.__qualname__}", "    options:", *hidden, ""]
        if f"agent {name}" in measured:
            parts += [f"<!-- table: {study} {results} agent {name} -->", "<!-- end -->", ""]
    return tables.included("\n".join(parts))


def _formats() -> str:
    """Keys of scenario and sweep files, from their JSON Schemas."""
    from idn_gym.experiment.sweep_file import Grid
    from idn_gym.scenario.graphs.rules import Written

    parts = ["# Files", "", "Keys of scenario and sweep files: `idn-gym schema scenario`, `idn-gym schema sweep`.", ""]
    for title, kind in (("Scenario files", Written), ("Sweep files", Grid)):
        schema = kind.model_json_schema()
        parts += [f"## {title}", "", *_keys(schema)]
        for name, section in sorted(schema.get("$defs", {}).items()):
            if section.get("properties"):
                about = inspect.cleandoc(section.get("description", "")).partition("\n\n")[0].replace("\n", " ")
                parts += [f"### {name}", "", about, "", *_keys(section)]
    return "\n".join(parts)


def _keys(section: dict[str, Any]) -> list[str]:
    needed = set(section.get("required", ()))
    rows = []
    for key, value in section["properties"].items():
        default = "needed" if key in needed else f"`{value.get('default')}`" if "default" in value else ""
        rows.append(f"| `{key}` | {value.get('description', '')} | {default} |".replace("<", "&lt;"))
    return ["| key | | default |", "|---|---|---|", *rows, ""]


def public() -> dict[str, dict[str, str]]:
    """Package -> what its `__all__` names -> where that is defined; what several packages name is the first's."""
    found: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    for folder in (ROOT / "idn_gym", ROOT / "agents" / "idn_agents"):
        for path in sorted(folder.rglob("__init__.py")):
            if "\n__all__ =" not in path.read_text("utf-8"):
                continue
            package = ".".join(path.parent.relative_to(folder.parent).parts)
            module = importlib.import_module(package)
            for name in module.__all__:
                if not name.startswith("__"):
                    named = getattr(module, name)
                    home = f"{getattr(named, '__module__', package)}.{getattr(named, '__qualname__', name)}"
                    if home not in seen:
                        found.setdefault(package, {})[name] = home
                        seen.add(home)
    return found


def _python() -> str:
    """Public names, by their docstrings."""
    parts = ["# Python", "", "What users import: from packages, and by module.", ""]
    for package, names in public().items():
        about = inspect.getdoc(importlib.import_module(package)) or ""
        parts += [f"## From `{package}`", "", about.partition("\n\n")[0], ""]
        for home in names.values():
            parts += [f"::: {home}", "    options: {heading_level: 3}", ""]
    parts += ["## Modules", ""]
    for module in (*(f"idn_gym.{module}" for module in MODULES), "idn_agents.agent"):
        parts += [f"::: {module}", "    options: {heading_level: 3}", ""]
    return "\n".join(parts)
