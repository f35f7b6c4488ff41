"""Text for people: made printable, shortened and listed here alone, whatever a name, a path or a file holds.

What a terminal would act on, and what turns the direction of the text behind it, is shown by its escape.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher
from itertools import islice
from typing import Any

LONGEST = 280  # characters of a message; below 300 with what the command line puts before it

# Control characters, line separators and direction marks, as part of a character class of a regular expression
UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SURROGATES = r"\ud800-\udfff"
_ANYWHERE = re.compile(f"[{UNPRINTABLE}{_SURROGATES}]")
_IN_A_LINE = re.compile(f"(?![\n\t])[{UNPRINTABLE}{_SURROGATES}]")

_ALIKE = 0.6  # of two names, at least, that one may be a slip for the other; the default of difflib
_MOST_COMPARED, _LONGEST_COMPARED = 1000, 80  # names, and characters of each: a message should not take seconds


def printable(value: object) -> str:
    """The text of a value as one line that a terminal shows and does not act on."""
    return _ANYWHERE.sub(_escape, str(value))


def printable_lines(text: str) -> str:
    """The same for text of several lines, whose breaks and tabs stay."""
    return _IN_A_LINE.sub(_escape, text)


def line(message: object, most: int = LONGEST) -> str:
    """A message as one printable line; of one that is too long, the beginning and the end."""
    text = printable(" ".join(str(message).splitlines()))
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 5]} ... {text[-end:]}"


def shown(value: Any, most: int = 60) -> str:
    """A value of anyone's as messages quote it: its repr, on one line and shortened."""
    try:
        text = _quoted(value[:most]) if isinstance(value, str) else repr(value)
    except Exception:  # an integer of thousands of digits, or a repr of someone's own
        text = f"a value of type {type(value).__name__}"
    text = printable(text)
    return text if len(text) <= most else text[: most - 3] + "..."


def listed(names: Collection[object], most: int = 8, room: int = 120) -> str:
    """Names with commas between them: as many as there is room for, and how many more there are."""
    kept: list[str] = []
    for name in islice(names, most):
        text = printable(name)
        if kept and len(", ".join([*kept, text])) > room:
            break
        kept.append(text if len(text) <= room else text[: room - 3] + "...")
    more = len(names) - len(kept)
    return ", ".join(kept) + (f" and {more:,} more" if more else "")


def nearest(given: object, names: Iterable[object]) -> str | None:
    """The first of the names that are most like what was given, in any case of letters; None where none is like it."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(str(given).lower()[:_LONGEST_COMPARED])
    found, most = None, _ALIKE
    for name in map(str, islice(names, _MOST_COMPARED)):
        matcher.set_seq1(name.lower()[:_LONGEST_COMPARED])
        if matcher.real_quick_ratio() > most and matcher.quick_ratio() > most and (alike := matcher.ratio()) > most:
            found, most = name, alike
    return found


def did_you_mean(given: object, names: Iterable[object]) -> str:
    """``did you mean 'bs0'? ``, to stand before what is allowed; empty where no name is like what was given."""
    name = nearest(given, names)
    return "" if name is None else f"did you mean {shown(name)}? "


def allowed(given: object, names: Collection[object], most: int = 8, room: int = 120) -> str:
    """The end of a message about a name that is none: the one that may be meant, and those that there are."""
    return f"{did_you_mean(given, names)}allowed: {listed(names, most, room)}"


def _quoted(text: str) -> str:
    """As `repr`, which escapes what joins emoji, too."""
    quote = '"' if "'" in text and '"' not in text else "'"
    return quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
