"""Text laid out for a width without splitting a number or a name: tables, and lists that run over several lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, TypeVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from idn_gym.common.text import printable
from idn_gym.report.console import Screen

Cell = str | Sequence[str]  # whole, or pieces between which a line may end
_Row = TypeVar("_Row")
_PROSE = 24  # characters that text of several pieces has at least, before columns are left out
_LONG_PROSE = 70  # the same where there is room for lines of any length
_GAP = 2  # characters between columns
_INDENT = 2  # of what stands below a row's first column


@dataclass(frozen=True)
class Column(Generic[_Row]):
    """A column of a `Table`; it is not shown where no row has anything for it."""

    header: str  # with its unit
    cell: Callable[[_Row], Cell | None]
    rank: int = 0  # where there is no room, the highest is left out first; 0 never is
    left: bool = False  # as text is aligned, and not figures


@dataclass(frozen=True)
class Plain:
    """A `Table` as text alone, for what lays it out in its own way."""

    title: str
    headers: list[str]
    left: list[bool]  # as text is aligned, and not figures; per column
    rows: list[list[str]]
    captions: list[str]


class Table(Generic[_Row]):
    """Rows under headers. In a narrow terminal text runs over several lines, then rows do, then columns are left out.

    Parameters
    ----------
    columns : those that name a row are the first ones, and stay.
    captions : lines below, whole sentences or pieces.
    heads : how many columns name a row.
    elsewhere : where one finds what had to be left out, beside a wider terminal.
    """

    def __init__(
        self,
        title: str,
        columns: Sequence[Column[_Row]],
        rows: Iterable[_Row],
        captions: Sequence[Cell] = (),
        heads: int = 1,
        elsewhere: str = "--json",
    ) -> None:
        self._title, self._captions, self._heads, self._elsewhere = title, captions, heads, elsewhere
        rows = list(rows)
        cells = [[_pieces(column.cell(row)) for row in rows] for column in columns]
        kept = [i for i, filled in enumerate(cells) if i < heads or any(map(any, filled))]
        self._columns = [columns[i] for i in kept]
        self._cells = [cells[i] for i in kept]

    def plain(self) -> Plain:
        """All of it: no width, and nothing left out."""
        captions = [printable("".join(_pieces(caption))) for caption in self._captions]
        columns = [["".join(cell).rstrip() for cell in cells] for cells in self._cells]
        headers, left = [column.header for column in self._columns], [column.left for column in self._columns]
        return Plain(printable(self._title), headers, left, [list(row) for row in zip(*columns, strict=True)], captions)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        endless = isinstance(console, Screen) and console.endless
        width = options.max_width
        least = self._least(_LONG_PROSE if endless else _PROSE)
        shown, above = (list(range(len(least))), False) if endless else self._plan(least, width)
        yield from _lines(words(self._title), width, style="bold")
        if shown:
            yield from self._under_headers(shown, least, width, above)
        else:
            yield from self._in_pairs(width)
        left_out = [column.header for i, column in enumerate(self._columns) if shown and i not in shown]
        if left_out:
            wider = f"no room for: {', '.join(left_out)}; a wider terminal or {self._elsewhere} has them"
            yield from _lines(words(wider), width, style="dim")
        for caption in self._captions:
            yield from _lines(words(caption) if isinstance(caption, str) else _pieces(caption), width, style="dim")

    def _least(self, prose: int) -> list[int]:
        """The width below which each column would be split, or text of several pieces hard to read."""

        def least(cell: Sequence[str]) -> int:
            return max(_longest(cell), min(prose, _length(cell)))

        return [
            max([_in_two(words(column.header)), *map(least, cells)])
            for column, cells in zip(self._columns, self._cells, strict=True)
        ]

    def _plan(self, least: Sequence[int], width: int) -> tuple[list[int], bool]:
        """The columns there is room for, none unless it is most of them, and whether a row's name is a line above."""
        shown, heads = list(range(len(least))), self._heads
        fits_above = heads == 1 or _total(least[:heads]) <= width
        while _total([least[i] for i in shown]) > width:
            if fits_above and len(shown) > heads and _total([least[i] for i in shown[heads:]]) + _INDENT <= width:
                return shown, True
            ranks = [self._columns[i].rank if i >= heads else 0 for i in shown]
            if max(ranks) == 0 or len(shown) <= len(least) / 2:
                return [], True
            del shown[max(range(len(ranks)), key=lambda n: (ranks[n], n))]
        return shown, False

    def _widths(self, shown: Sequence[int], least: Sequence[int], width: int) -> list[int]:
        """A width for each column: what it needs, more for those that have most to say, and for headers on one line."""
        widths = [least[i] for i in shown]
        wanted = [max(map(_length, self._cells[i]), default=0) for i in shown]
        for _ in range(width - _total(widths)):
            short = max(range(len(shown)), key=lambda n: wanted[n] / max(widths[n], 1))
            if widths[short] >= wanted[short]:
                break
            widths[short] += 1
        for n, i in enumerate(shown):
            more = cell_len(self._columns[i].header) - widths[n]
            widths[n] += max(more, 0) if more <= width - _total(widths) else 0
        return widths

    def _under_headers(self, shown: Sequence[int], least: Sequence[int], width: int, above: bool) -> Iterator[Text]:
        parts = [shown[: self._heads], shown[self._heads :]] if above else [shown]
        indents = [0, _INDENT][: len(parts)]
        widths = [self._widths(part, least, width - indent) for part, indent in zip(parts, indents, strict=True)]
        for part, fitted, indent in zip(parts, widths, indents, strict=True):
            headers = [_broken(words(self._columns[i].header), w) for i, w in zip(part, fitted, strict=True)]
            height = max(map(len, headers))
            raised = [[""] * (height - len(lines)) + lines for lines in headers]
            yield from self._side_by_side(part, raised, fitted, indent, "bold")
        rule = max(indent + _total(fitted) for fitted, indent in zip(widths, indents, strict=True))
        yield _line("─" * min(rule, max(width, _total(widths[-1]))), "dim")
        for row in zip(*self._cells, strict=True):
            for part, fitted, indent in zip(parts, widths, indents, strict=True):
                if above and not any(row[i] for i in part):
                    continue
                yield from self._side_by_side(
                    part, [_broken(row[i], w) for i, w in zip(part, fitted, strict=True)], fitted, indent
                )

    def _side_by_side(
        self,
        part: Sequence[int],
        cells: Sequence[Sequence[str]],
        widths: Sequence[int],
        indent: int,
        style: str = "",
    ) -> Iterator[Text]:
        """Cells of a row, each of which has lines of its own."""
        for lines in zip_longest(*cells, fillvalue=""):
            padding = [" " * (width - cell_len(text)) for text, width in zip(lines, widths, strict=True)]
            left = [self._columns[i].left for i in part]
            filled = [text + pad if at else pad + text for text, pad, at in zip(lines, padding, left, strict=True)]
            yield _line(" " * indent + (" " * _GAP).join(filled), style)

    def _in_pairs(self, width: int) -> Iterator[Text]:
        """Each row by its name, and below it all else as `header figure`."""
        for row in zip(*self._cells, strict=True):
            name: list[str] = []
            below: list[str] = []
            for i, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
                first, *rest = cell or [""]
                told = i == 0 or column.left if i < self._heads else len(row) == 2
                pieces = [first if told else f"{column.header} {first}", *rest]
                pieces[-1] += " " * (_GAP + 1)
                (name if i < self._heads else below).extend(pieces)
            yield from _lines(name, width, style="bold")
            yield from _lines(below, width, _INDENT)


class Listing:
    """Pieces one behind the other, over as many lines as they take.

    Parameters
    ----------
    pieces : a line may end between two of them.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = [printable(piece) for piece in pieces]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        endless = isinstance(console, Screen) and console.endless
        yield from _lines(self._pieces, max(_length(self._pieces), 1) if endless else options.max_width)


def words(text: str) -> list[str]:
    """Prose as pieces: its words."""
    return re.findall(r"\S+\s*|\s+", printable(text))


def names(listed: Iterable[str], separator: str = ", ") -> list[str]:
    """Names as pieces, with a separator between them."""
    every = list(listed)
    return [name + separator for name in every[:-1]] + every[-1:]


def beginning(text: str, width: int) -> str:
    """As many of a text's clauses as there is room for."""
    return _broken(re.findall(r".+?[,;:] |.+", printable(text)), max(width, 1))[0].rstrip(" ,;:")


def agent(text: str) -> list[str]:
    """An agent as pieces: its name and its parameters."""
    return re.split(r"(?<=[:,])(?=[^\W\d])", text)


def _pieces(cell: Cell | None) -> list[str]:
    return [printable(piece) for piece in ([cell] if isinstance(cell, str) else cell or ()) if piece]


def _length(pieces: Sequence[str]) -> int:
    return cell_len("".join(pieces).rstrip())


def _longest(pieces: Sequence[str]) -> int:
    return max((cell_len(piece.rstrip()) for piece in pieces), default=0)


def _in_two(pieces: Sequence[str]) -> int:
    """The least width for two lines of pieces."""
    return min((max(map(_length, (pieces[:n], pieces[n:]))) for n in range(1, len(pieces))), default=_length(pieces))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _broken(pieces: Sequence[str], width: int) -> list[str]:
    """Lines of whole pieces, none of them wider than `width` unless a piece is."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines[:-1]] + lines[-1:]


def _lines(pieces: Sequence[str], width: int, indent: int = 0, style: str = "") -> Iterator[Text]:
    for line in _broken(pieces, width - indent):
        yield _line(" " * indent + line, style)


def _line(text: str, style: str) -> Text:
    return Text(text.rstrip(), style, no_wrap=True, overflow="ignore")
