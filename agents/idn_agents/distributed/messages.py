"""The control protocol of INFIDA: the messages that nodes send each other, and the channel that carries them.

Source: docs/model.md#distributed-form.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from idn_gym.typing import FloatArray

BYTES = 8  # of a number in a message


@dataclass(frozen=True, slots=True)
class Least:
    """Downstream, once, at set-up: no option from the sender on costs less than this."""

    rho: int
    cost: float  # ms
    numbers: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Count:
    """Upstream, to the end of the path: so many requests of the type came in."""

    slot: int
    rho: int
    requests: float
    numbers: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Offers:
    """Upstream, until the batch is covered: what options so far cost, ascending, and the share of it they take."""

    slot: int
    rho: int
    costs: FloatArray  # (n,) ms
    shares: FloatArray  # (n,) z / r

    @property
    def numbers(self) -> int:
        """Slot, type, n, and n pairs."""
        return 3 + 2 * len(self.costs)


@dataclass(frozen=True, slots=True)
class Price:
    """Downstream, from where the batch was covered: the cost at which it was, gamma of K*."""

    slot: int
    rho: int
    cost: float  # ms
    numbers: ClassVar[int] = 3


Message = Least | Count | Offers | Price
Outgoing = Iterator[tuple[int, Message]]  # (number of the neighbour, message)


class Channel:
    """Carries messages, each over one link, until none is under way; counts what is sent, and loses some of it.

    Parameters
    ----------
    receivers : what takes in a message at each node, and returns what it leads to.
    loss : probability that a message is lost on its link; a lost one was sent, and counts.
    draws : decides which.
    """

    def __init__(
        self, receivers: Sequence[Callable[[Message], Outgoing]], loss: float, draws: np.random.Generator
    ) -> None:
        self._receivers, self._loss, self._draws = receivers, loss, draws
        self.messages: Counter[str] = Counter()  # by kind
        self.bytes: Counter[str] = Counter()  # by kind
        self.lost = 0

    def carry(self, outgoing: Iterable[tuple[int, Message]]) -> None:
        """Deliver these messages and all that they lead to; those given are all sent before any arrives."""
        under_way = deque(outgoing)
        while under_way:
            receiver, message = under_way.popleft()
            kind = type(message).__name__.lower()
            self.messages[kind] += 1
            self.bytes[kind] += BYTES * message.numbers
            if self._loss > 0.0 and self._draws.random() < self._loss:
                self.lost += 1
            else:
                under_way.extend(self._receivers[receiver](message))
