"""Code of one's own that training calls: ``idn-gym train ... --callback mine.py:Watch:every=5``.

A callback is called with each row of the learning curve, once it is written, and the policy as it is then:
``callback(row, policy)``. What it returns is not looked at, except that False ends the training there. With Stable-
Baselines3's algorithms it may be a `BaseCallback` of theirs instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from idn_gym import plugins, sources
from idn_gym.errors import IdnError
from idn_gym.experiment.spec import parameters_of

Row = dict[str, float]


class Callbacks:
    """Callbacks by their texts, made at once, so that what is wrong with one does not cost a training.

    Parameters
    ----------
    texts : ``FILE.py:Class``, ``package.module:Class`` or a name registered under ``idn_gym.callbacks``, each with
        ``:key=value,...`` behind it or not.
    sb3 : whether callbacks of Stable-Baselines3 are taken.

    Raises
    ------
    IdnError
        If there is no such class, it does not take what it is given, or its objects are no callbacks.
    """

    def __init__(self, texts: Sequence[str], sb3: bool) -> None:
        self._own: list[tuple[str, Any]] = []
        self.of_sb3: list[Any] = []
        for text in texts:
            name, rest = sources.split(text)
            if sources.Source.of(name) is None:
                sources.refuse_without_name(name)
            made = plugins.make(plugins.CALLBACKS, name, parameters_of(rest, f"callback {text!r}"))
            if callable(made):
                self._own.append((text, made))
            elif sb3 and hasattr(made, "init_callback"):
                self.of_sb3.append(made)
            else:
                takes = "called with a row and the policy" + ", or a BaseCallback of Stable-Baselines3" * sb3
                raise IdnError(f"callback {text}: {type(made).__name__}; must be {takes}")

    def __call__(self, row: Row, policy: Any) -> bool:
        """Hand on a row of the curve; False if training is to end."""
        going = True
        for text, callback in self._own:
            with named(text):
                going &= callback(dict(row), policy) is not False
        return going


@contextmanager
def named(callback: str) -> Iterator[None]:
    """Whatever goes wrong inside, as a line that says in which callback and where."""
    try:
        yield
    except (IdnError, MemoryError):
        raise
    except Exception as error:
        raise IdnError(f"callback {callback}: {sources.fault(error)}") from error
