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


class Table(Generic[_Row]):
    """Rows under headers. In a narrow terminal text runs over several lines, then rows do, then columns are left out.

    Parameters
    ----------
    columns : the first one names the row, and stays.
    captions : lines below, whole sentences or pieces.
    elsewhere : where one finds what had to be left out, beside a wider terminal.
    """

    def __init__(
        self,
        title: str,
        columns: Sequence[Column[_Row]],
        rows: Iterable[_Row],
        captions: Sequence[Cell] = (),
        elsewhere: str = "--json",
    ) -> None:
        self._title, self._captions, self._elsewhere = title, captions, elsewhere
        rows = list(rows)
        cells = [[_pieces(column.cell(row)) for row in rows] for column in columns]
        kept = [i for i, filled in enumerate(cells) if i == 0 or any(map(any, filled))]
        self._columns = [columns[i] for i in kept]
        self._cells = [cells[i] for i in kept]

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
        """The columns there is room for, none unless it is most of them, and whether the first one is a line above."""
        shown = list(range(len(least)))
        while _total([least[i] for i in shown]) > width:
            if len(shown) > 1 and _total([least[i] for i in shown[1:]]) + _INDENT <= width:
                return shown, True
            ranks = [self._columns[i].rank if i else 0 for i in shown]
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
        first, rest = (shown[0], shown[1:]) if above else (None, shown)
        indent = _INDENT if above else 0
        widths = self._widths(rest, least, width - indent)
        left = [self._columns[i].left for i in rest]
        headers = [_broken(words(self._columns[i].header), w) for i, w in zip(rest, widths, strict=True)]
        height = max(map(len, headers))
        if first is not None:
            yield from _lines(words(self._columns[first].header), width, style="bold")
        yield from _grid([[""] * (height - len(lines)) + lines for lines in headers], widths, left, indent, "bold")
        yield _line("─" * (indent + _total(widths)), "dim")
        for n in range(len(self._cells[shown[0]])):
            if first is not None and self._cells[first][n]:
                yield from _lines(self._cells[first][n], width)
            lines = [_broken(self._cells[i][n], w) for i, w in zip(rest, widths, strict=True)]
            yield from _grid(lines, widths, left, indent)

    def _in_pairs(self, width: int) -> Iterator[Text]:
        """Each row by its name, and below it all else as `header figure`."""
        for row in zip(*self._cells, strict=True):
            yield from _lines(row[0], width, style="bold")
            below: list[str] = []
            for column, cell in zip(self._columns[1:], row[1:], strict=True):
                first, *rest = cell or [""]
                below += [f"{column.header} {first}", *rest]
                below[-1] += "   "
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


def _grid(
    cells: Sequence[Sequence[str]], widths: Sequence[int], left: Sequence[bool], indent: int, style: str = ""
) -> Iterator[Text]:
    """Lines of cells side by side, each of which has its own."""
    for parts in zip_longest(*cells, fillvalue=""):
        padding = [" " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True)]
        filled = [part + pad if at else pad + part for part, pad, at in zip(parts, padding, left, strict=True)]
        yield _line(" " * indent + (" " * _GAP).join(filled), style)


def _lines(pieces: Sequence[str], width: int, indent: int = 0, style: str = "") -> Iterator[Text]:
    for line in _broken(pieces, width - indent):
        yield _line(" " * indent + line, style)


def _line(text: str, style: str) -> Text:
    return Text(text.rstrip(), style, no_wrap=True, overflow="ignore")
