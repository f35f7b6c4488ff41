"""The clock that stands still while something is compiled."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from numba.core import event
from numba.core.caching import FunctionCache

from idn_gym.kernels import compiled


def test_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: of the seconds 10 to 30, those from 12 to 19 and from 20 to 22 go into compiling, one in the other."""
    now = [10.0]
    monkeypatch.setattr(compiled, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    about = {"dispatcher": SimpleNamespace(), "args": (), "return_type": None}
    begun = compiled.clock()
    shown = []
    for second, happens in [(12, "+"), (14, "+"), (15, "-"), (17, ""), (19, "-"), (20, "+"), (22, "-"), (30, "")]:
        now[0] = float(second)
        if happens == "+":
            event.start_event("numba:compile", data=about)
        elif happens == "-":
            event.end_event("numba:compile", data=about)
        shown.append(compiled.clock() - begun)
    assert shown == [2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 11.0]


def test_the_clock_stands_still_while_what_is_kept_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first agent of each process had what all of them need among its seconds."""
    now = [10.0]

    def reading(*_: object) -> None:
        now[0] += 5.0

    monkeypatch.setattr(compiled, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(FunctionCache, "load_overload", reading)
    begun = compiled.clock()
    compiled.compiled()(plus_one)(1)
    assert now[0] == 15.0
    assert compiled.clock() == begun


def plus_one(number: int) -> int:
    """Something to compile."""
    return number + 1
