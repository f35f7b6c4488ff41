"""The last batches, and how many of them say most about the next."""

from __future__ import annotations

from collections import deque
from itertools import islice

import numpy as np

from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray

LENGTHS = (1, 2, 4, 8, 16, 32, 64)  # slots
LONGEST = 100_000  # slots that may be asked for
_SURPRISE = 4.0  # times the usual error of the forecast


class Window:
    """Keeps the last batches; of the lengths on offer, the best is that whose mean forecast the past batches best.

    Squared errors are added up with a discount of one in 64, so that a stream that changes its nature is followed.
    While popularity stands still and counts are bursty this is 64; where it moves and counts are steady, 1 or 2.

    Parameters
    ----------
    length : slots, if it is not to be chosen.
    """

    def __init__(self, network: Network, length: int | None = None) -> None:
        self._lengths = np.array(LENGTHS if length is None else (length,))
        kept = int(self._lengths[-1])
        self._types, self._placements = network.R, network.P
        self._requests: deque[FloatArray] = deque(maxlen=kept)  # as many as were seen: a window may be long
        self._capacities: deque[FloatArray] = deque(maxlen=kept)  # one array stands for as long as they stand still
        self._sums = np.zeros((len(self._lengths), network.R))
        self._errors = np.zeros(len(self._lengths))
        self._usual = 0.0
        self._seen = 0
        self.surprised = False

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """See a batch (R,) and the capacities (P,) in force."""
        requests = shaped("requests", requests, (self._types,))
        capacities = shaped("capacities", capacities, (self._placements,))
        before = self.length
        if self._seen > 0:
            means = self._sums / np.minimum(self._lengths, self._seen)[:, None]
            errors = ((means - requests) ** 2).sum(axis=1)
            error = float(errors[self._lengths >= before][0])
            self.surprised = error > _SURPRISE * self._usual
            self._usual = error if self._seen == 1 else 0.9 * self._usual + 0.1 * error
            self._errors = self._errors * (1.0 - 1.0 / LENGTHS[-1]) + errors
        for i, length in enumerate(self._lengths.tolist()):
            if self._seen >= length:
                self._sums[i] -= self._requests[-length]
            self._sums[i] += requests
        self._requests.append(np.array(requests, dtype=np.float64))
        same = self._seen > 0 and np.array_equal(self._capacities[-1], capacities)
        self._capacities.append(self._capacities[-1] if same else np.array(capacities))
        self._seen += 1

    @property
    def length(self) -> int:
        """Number of batches to look at, as far as they are there; of equals the longest."""
        last = len(self._lengths) - 1 - int(np.argmin(self._errors[::-1]))
        return min(int(self._lengths[last]), self._seen)

    def batches(self) -> tuple[FloatArray, FloatArray]:
        """Requests (W, R) and capacities (W or 1, P) of that many last batches."""
        requests = np.stack(list(islice(reversed(self._requests), self.length)))
        capacities = list(islice(reversed(self._capacities), self.length))
        steady = all(row is capacities[0] for row in capacities)
        return requests, np.stack(capacities[:1] if steady else capacities)
