"""How an agent looks in every picture: one colour, one marker and one kind of line.

The colours are dark enough for marks on white, 3 to 1 (WCAG 2.2, criterion 1.4.11), and as far apart as ten of them get
for readers who see no green or no red; `tests/report/test_look.py` computes it. Agents that share a colour differ in
marker and line.
Lines with gaps of one length are of agents in hindsight; others are solid, dotted, or dashes and dots.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

from idn_gym.common.colours import BLACK, INK, WHITE, readable, shaded

BLUE, SKY, NAVY, PLUM = "#0847F1", "#4096FA", "#140459", "#8C3E76"
ORANGE, GREEN, RED, MOSS, GREY = "#F25602", "#0CAA6E", "#8C1310", "#5D6A57", "#9A8B99"

SOLID: Any = "solid"
DASHED: Any = (0, (4, 1.6))
_LONG: Any = (0, (9, 2.5))
_LONG_DOT: Any = (0, (9, 2, 1.5, 2))
DOTTED: Any = (0, (1, 1))
_DASH_DOT: Any = (0, (5, 1.2, 1, 1.2))
_DASH_DOTS: Any = (0, (5, 1.2, 1, 1.2, 1, 1.2))
_OF_HINDSIGHT = (DASHED, _LONG, _LONG_DOT)


@dataclass(frozen=True)
class Look:
    """A colour, a marker and a line, as matplotlib takes them."""

    colour: str
    marker: str
    line: Any = SOLID

    @property
    def ink(self) -> str:
        """The colour as text on white can have it."""
        return readable(self.colour)

    @property
    def point(self) -> tuple[str, str]:
        """What tells it apart where there are no lines."""
        return self.colour, self.marker

    def drawn(self, hindsight: bool) -> Any:
        """The line, with the gaps of agents in hindsight where it is of one."""
        return DASHED if hindsight and self.line not in _OF_HINDSIGHT else self.line


_KNOWN = {
    "infida": Look(BLUE, "o"),
    "infida-coordinated": Look(SKY, "D"),
    "infida-distributed": Look(BLUE, "<", _DASH_DOT),
    "infida-offline": Look(PLUM, "P", DASHED),
    "load-aware-greedy": Look(ORANGE, "^"),
    "last-batch-greedy": Look(GREEN, "v"),
    "static-greedy": Look(RED, "s", DASHED),
    "optimum": Look(INK, "*", DASHED),
    "dynamic-optimum": Look(INK, "X", _LONG),
    "law-aware": Look(INK, "d", _LONG_DOT),
    "random": Look(GREY, "x"),
    "repository-only": Look(MOSS, "+"),
    "ppo": Look(NAVY, "p"),
    "rolling-local-search": Look(NAVY, ">", DOTTED),
    "central-stations": Look(ORANGE, "h", DOTTED),
    # of systems, which never meet each other: each takes networks of its own shape
    "infadapter": Look(PLUM, "8", _DASH_DOTS),
    "ipa": Look(MOSS, "8", _DASH_DOTS),
    "sponge": Look(RED, "8", _DASH_DOTS),
    "pa-mdi": Look(SKY, "8", _DASH_DOTS),
    "sled": Look(GREEN, "8", _DASH_DOTS),
    "qpart": Look(GREY, "8", _DASH_DOTS),
}
_MARKERS = (">", "d", "X", "h", "s", "^", "v", "P", "*", "p", "D", "o", "<")
_LINES = (SOLID, _DASH_DOT, DOTTED, _DASH_DOTS)
# colours of agents that are seldom in one picture with many others, for those that nobody here knows
_FREE = tuple(Look(colour, marker) for marker, colour in product(_MARKERS[:6], (NAVY, PLUM, MOSS, RED, SKY)))
_MORE = tuple(Look(free.colour, marker, line) for line, marker, free in product(_LINES[1:], _MARKERS, _FREE[:5]))
_SPEC = re.compile(r"(?P<name>[^:]*(:[A-Za-z_]\w*(?=:|$))?)(:(?P<parameters>.*))?", re.DOTALL)


def looks(agents: Iterable[str]) -> dict[str, Look]:
    """The look of each agent of a picture; no two are the same, for 24 agents and more.

    An agent that is known here has its own look, whoever is beside it. Another one takes a look that its name picks
    from those that are free, and leaves it only to another such agent of the picture that picks the same. One with
    parameters has the hue of its name, with a shade and a marker that the parameters pick.

    Parameters
    ----------
    agents : as the command line takes them: ``name``, ``file.py:Class``, ``package.module:Class``, each maybe with
        ``:key=value,...``.
    """
    texts = sorted(set(agents))
    split = {text: _split(text) for text in texts}
    names = sorted({name for name, _ in split.values()})
    base = {name: _KNOWN[name] for name in names if name in _KNOWN}
    for name in names:
        if name not in base:
            file = re.split(r"[/\\]", name)[-1]  # wherever it lies
            base[name] = _picked(file, _FREE, _MORE, {*_KNOWN.values(), *base.values()})
    found = {text: base[name] for text, (name, parameters) in split.items() if not parameters}
    for text, (name, parameters) in split.items():
        if parameters:
            first, more = _variants(base[name])
            taken = {*_KNOWN.values(), *base.values(), *found.values()}
            markers = {found[other].marker for other in found if split[other][0] == name}
            found[text] = _picked(parameters, first, more, taken, markers)
    return found


def look(agent: str) -> Look:
    """The look of an agent that is alone, or among agents that are known here."""
    return looks([agent])[agent]


def _split(text: str) -> tuple[str, str]:
    """The name, with the class where it has one, and the parameters."""
    match = _SPEC.fullmatch(text)
    assert match is not None  # it matches any text
    return match["name"], match["parameters"] or ""


def _variants(own: Look) -> tuple[list[Look], list[Look]]:
    """Looks of the same hue with other markers, each shade in a kind of line; and the rest."""
    lines = _OF_HINDSIGHT if own.line in _OF_HINDSIGHT else _LINES
    shades = (shaded(own.colour, BLACK, 0.5), shaded(own.colour, WHITE, 0.45), own.colour)
    markers = [marker for marker in _MARKERS if marker != own.marker]
    picked = shades if own.colour != INK else shades[2:]  # a lighter ink is grey, which is another colour
    first = [Look(shade, marker, line) for marker in markers for shade, line in zip(picked, cycle(lines))]
    return first, [Look(shade, marker, line) for line, marker, shade in product(lines, markers, shades)]


def _picked(
    text: str, first: Sequence[Look], more: Sequence[Look], taken: set[Look], markers: Collection[str] = ()
) -> Look:
    """Of the first looks that at a place which the text gives, or the next one whose point is free; else one more.

    One whose marker is none of `markers` comes before the others.
    """
    place = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], "big") % len(first)
    points = {look.point for look in taken}
    order = [*first[place:], *first[:place], *more]
    free = [look for look in order if look.point not in points] or [look for look in order if look not in taken]
    return next((look for look in free if look.marker not in markers), next(iter(free), order[0]))
