"""A page of HTML from its parts: one file that asks nothing of any network, and in which no name is more than a name.

Templates escape all they are given; data are JSON in which nothing can end a script. Beyond that, the page's own policy
allows the scripts that are written here, by their digests, and no others, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idn_gym.common.extras import require
from idn_gym.common.files import atomic, read_beginning
from idn_gym.common.text import printable, shown
from idn_gym.errors import IdnError
from idn_gym.report.layout import Plain
from idn_gym.report.look import Look, looks
from idn_gym.report.page.folders import part_of
from idn_gym.report.page.parts import Part, Picture
from idn_gym.report.page.runs import compared_part

_HERE = Path(__file__).parent
_MARK = "<!doctype html>\n<!-- idn-gym report -->\n"  # what tells a page of ours from other files
_SYMBOLS = {  # of matplotlib's markers
    "o": "circle", "D": "diamond", "d": "diamond-tall", "s": "square", "*": "star", "p": "pentagon", "h": "hexagon",
    "8": "octagon", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left", ">": "triangle-right",
    "P": "cross", "X": "x", "x": "x-thin-open", "+": "cross-thin-open",
}  # fmt: skip
_SCRIPTS = ("basics", "agents", "tables", "plots", "views", "network", "parts")
_WIDTH = 2.0  # pixels of a line


def require_report() -> None:
    """Raise an `IdnError` that names the extra, unless what pages are made with is installed."""
    require("report", "report")


def write_page(folders: Sequence[Path], output: Path | None = None) -> Path:
    """Write the page about record folders; where it is.

    Parameters
    ----------
    output : default: ``report.html`` in the first of the folders.

    Raises
    ------
    IdnError
        If the extra is missing, a folder is no record, a record is damaged, or the output is something else's or
        cannot be written; nothing is written then.
    """
    require_report()
    target = folders[0] / "report.html" if output is None else output
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise IdnError("report: a folder twice; each is shown once")
    if target.is_dir():
        raise IdnError(f"{target}: is a folder; --output takes a file")
    if target.exists() and read_beginning(target, len(_MARK)) != _MARK.encode():
        raise IdnError(f"{target}: is there and no page of idn-gym report; give another --output")
    if output is not None and not target.parent.is_dir():
        raise IdnError(f"{target}: no folder {target.parent}; --output names a file in one that is there")
    page = page_of(folders)
    try:
        with atomic(target) as file:
            file.write(page.encode())
    except OSError as error:
        raise IdnError(f"{target}: cannot be written: {error.strerror}") from None
    return target


def page_of(folders: Sequence[Path]) -> str:
    """The page about record folders."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    parts = [part_of(folder) for folder in folders]
    names = _names(folders)
    if len(parts) > 1:
        both = compared_part(names, parts)
        parts = [*([both] if both else []), *parts]
        names = [*([""] if both else []), *names]
    else:
        names = [""]
    sections = [
        _Section(f"s{n}", name, part, _tables(part)) for n, (name, part) in enumerate(zip(names, parts, strict=True))
    ]
    flat = [one for section in sections for one in section.all]
    hindsight = {printable(agent) for section in flat for agent in section.part.hindsight}
    agents = dict.fromkeys(agent for section in flat for agent in section.agents)
    data = {
        "agents": [_look(agent, look, agent in hindsight) for agent, look in _ordered(agents)],
        "parts": {section.id: section.part.views for section in flat if section.part.views is not None},
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    scripts = {name: _as_read(script) for name, script in (("plotly", get_plotlyjs()), ("page", _page_script()))}
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"picture": _inlined, "typed": _typed}
    return _MARK + environment.get_template("page.html").render(
        title=parts[0].title if len(folders) == 1 else "Folders compared",
        sections=sections,
        contents=sections if len(sections) > 1 else sections[0].sections,
        agents=data["agents"],
        data=_inert(text),
        style=_file("page.css"),
        scripts=scripts,
        policy="; ".join(
            [
                "default-src 'none'",
                "script-src " + " ".join(f"'sha256-{_digest(script)}'" for script in scripts.values()),
                "style-src 'unsafe-inline'",
                "img-src data: blob:",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
    )


@dataclass(frozen=True)
class _Section:
    """A part where it stands on the page."""

    id: str
    name: str  # of its folder, where there are several
    part: Part
    tables: Sequence[Plain]

    @property
    def more(self) -> list[Plain]:
        return [table.plain() for table in self.part.more]

    @property
    def sections(self) -> list[_Section]:
        return [_Section(f"{self.id}-{n}", "", part, _tables(part)) for n, part in enumerate(self.part.parts)]

    @property
    def all(self) -> Iterator[_Section]:
        """Itself and what is below it."""
        yield self
        for section in self.sections:
            yield from section.all

    @property
    def agents(self) -> list[str]:
        """Those of its views."""
        views = self.part.views or {"settings": []}
        return [agent for setting in views["settings"] for agent in setting["agents"]]


def _tables(part: Part) -> list[Plain]:
    return [table.plain() for table in part.tables]


def _ordered(agents: Collection[str]) -> list[tuple[str, Look]]:
    found = looks(agents)
    return [(agent, found[agent]) for agent in agents]


def _look(agent: str, look: Look, hindsight: bool) -> dict[str, Any]:
    """The look of an agent, as Plotly takes it."""
    line = look.drawn(hindsight)
    dash = "solid" if line == "solid" else ",".join(f"{_WIDTH * length:g}px" for length in line[1])
    return {
        "name": agent,
        "colour": look.colour,
        "ink": look.ink,
        "symbol": _SYMBOLS[look.marker],
        "dash": dash,
        "lengths": "" if line == "solid" else " ".join(f"{_WIDTH * length:g}" for length in line[1]),
        "hindsight": hindsight,
    }


def _names(folders: Sequence[Path]) -> list[str]:
    """Folders by as much of the ends of their paths as tells them apart."""
    paths = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(parts[-length:]) for parts in paths]
        if len(set(names)) == len(names):
            break
    return [printable(name) for name in names]


def _inert(text: str) -> str:
    """JSON that can stand in a script: what could end that, or begin markup, is escaped."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _page_script() -> str:
    """The scripts of the page as one, whose names are nobody else's."""
    body = "\n".join(_file(f"scripts/{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{body}}})();\n'


def _as_read(script: str) -> str:
    """A script with the line breaks that a browser reads, whose digest its policy is about."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _inlined(picture: Picture) -> str:
    """The address of a picture that stands in the page itself."""
    content = read_beginning(picture.path, 2**24)
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise IdnError(f"{picture.path}: {shown(content[:8])}; must be a PNG")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _typed(command: Sequence[str]) -> str:
    """A command as a shell takes it."""
    return printable(shlex.join(command))
