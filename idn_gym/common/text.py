"""Text for people: made printable, shortened and listed here alone, whatever a name, a path or a file holds.

What a terminal would act on, and what turns the direction of the text behind it, is shown by its escape.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice
from typing import Any

LONGEST = 280  # characters of a message; below 300 with what the command line puts before it

# Control characters, line separators and direction marks, as part of a character class of a regular expression
UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SURROGATES = r"\ud800-\udfff"
_ANYWHERE = re.compile(f"[{UNPRINTABLE}{_SURROGATES}]")
_IN_A_LINE = re.compile(f"(?![\n\t])[{UNPRINTABLE}{_SURROGATES}]")


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


def _quoted(text: str) -> str:
    """As `repr`, which escapes what joins emoji, too."""
    quote = '"' if "'" in text and '"' not in text else "'"
    return quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
