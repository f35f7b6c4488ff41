"""Parameters as users give them: numbers in a named range, and words of a list; anything else is refused in a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

from idn_gym.common import text
from idn_gym.errors import IdnError

MOST = 10**9  # of what is counted in slots, steps or rounds
LARGEST = 1e15  # far beyond use, and low enough that no sum or product of figures overflows
LARGEST_SEED = 2**64 - 1
_MOST_DIGITS = 40  # of a whole number that is shown as it is


def whole(name: str, value: Any, lowest: int = 1, highest: int = MOST, words: tuple[str, ...] = ()) -> Any:
    """Value as a whole number from `lowest` to `highest`, both included, or as one of the words allowed beside them.

    Raises
    ------
    IdnError
        Naming the parameter, the value and what is allowed; as all functions here.
    """
    if isinstance(value, str) and value in words:
        return value
    number = isinstance(value, Integral) and not isinstance(value, bool)
    if not (number and lowest <= value <= highest):
        beside = "" if number else "".join(f"{word!r} or " for word in words)
        raise IdnError(f"{name}: {shown(value)}; must be {beside}a whole number >= {lowest}, at most {highest}")
    return int(value)


def real(name: str, value: Any, lowest: float = 0.0, highest: float = LARGEST, below: bool = False) -> float:
    """Value as a number from `lowest` to `highest`, both included; with `below` less than `highest`."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and lowest <= value <= highest and not (below and value == highest)):
        inside = highest <= 1.0
        allowed = f"in [{lowest:g}, {highest:g}]" if inside else f">= {lowest:g}, at most {highest:g}"
        raise IdnError(f"{name}: {shown(value)}; must be a number {allowed}{f', less than {highest:g}' * below}")
    return float(value)


def one_of(name: str, value: Any, allowed: Sequence[str | None], quoted: bool = False) -> Any:
    """Value if it is one of the allowed words, or None where that is; `quoted`: as Python writes them."""
    if not ((value is None or isinstance(value, str)) and value in allowed):
        words = map(repr if quoted else str, allowed)
        raise IdnError(f"{name}: {shown(value)}; allowed: {', '.join(words)}")
    return value


def seed(value: Any, highest: int = LARGEST_SEED) -> int:
    """Value as the seed of a generator, of 64 bits at most."""
    return whole("seed", value, 0, highest)


def shown(value: Any) -> str:
    """A value as `text.shown` has it, but of a whole number of many digits how many they are."""
    if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
        return f"a whole number of about {int(value.bit_length() * 0.30103) + 1} digits"
    return text.shown(value)


@contextmanager
def as_options(*names: str) -> Iterator[None]:
    """Name parameters of these names, where they are refused, as options: ``--time-limit`` for ``time_limit``."""
    try:
        yield
    except IdnError as error:
        name, colon, rest = str(error).partition(":")
        if colon and name in names:
            raise IdnError(f"--{name.replace('_', '-')}:{rest}") from None
        raise
