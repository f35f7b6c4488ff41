"""What the next batch will be like, from those so far: a mean, and where counts are bursty a few rows about it.

Nothing is known here of how streams are made: how far back to look, how much counts scatter, and whether popularity is
the same at all entries are estimated as the stream goes on.
"""

from __future__ import annotations

import numpy as np

from idn_agents.agent import generator
from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray

LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # slots
LONGEST = 100_000  # slots that may be asked for
_MEMORY = 64  # slots: errors are added up with a discount of one in as many
_CLOSE = 1.02  # times the least squared error: of lengths within, the longest is taken
_SURPRISE = 4.0  # times the usual error of the forecast
# times the usual error, above which a surprise is taken to last until surprises like it have not
_FAR = 100.0
_FIRM = 0.03  # of the squared mean, that the usual error is at most where a surprise may count as far
_LEARNT = 0.5  # weight of the latest surprise in what is known of whether they last
_MOSTLY = 0.6  # of them that lasted, so weighted, above which one is believed: more than the latest alone
_ROWS = 128  # that stand for bursty counts: with fewer, what few large ones need is not seen
_STEADY = 0.003  # variance of a count over its squared mean, up to which the mean stands for it
_POOL = 64  # batches, and types with the most requests, whose scatter is pooled


class Window:
    """How many of the last vectors to look at: the longest whose mean has forecast about as well as any.

    On offer are a row of lengths, and all since the last surprise: since a vector that was far off the forecast. Errors
    are squared, and added up with a discount, so that a stream that changes its nature is followed.

    Parameters
    ----------
    width : numbers in a vector.
    length : slots, if it is not to be chosen.
    """

    def __init__(self, width: int, length: int | None = None) -> None:
        self._lengths = np.array(LENGTHS if length is None else (length,))
        self._fixed = length is not None
        self._kept: list[FloatArray] = []
        self._sums = np.zeros((len(self._lengths) + 1, width))  # the last is that since the last surprise
        self._errors = np.zeros(len(self._sums))
        self._run = 0
        self._usual = 0.0
        self._lasts = np.array([0.0, 1.0])  # share of surprises, those near and those far, that lasted
        self._far = 0  # the last one
        self._first = False  # whether the last vector was a surprise and the one before it none
        self.seen = 0
        self.surprised = False

    def see(self, vector: FloatArray) -> None:
        """See the next one."""
        if self.seen > 0:
            errors = ((self._sums / self._counts()[:, None] - vector) ** 2).sum(axis=1)
            chosen = self._chosen()
            error, mean = float(errors[chosen]), self._sums[chosen] / self._counts()[chosen]
            if self._first and self._longest() < len(errors) - 1:
                lasted = float(errors[-1] < errors[self._longest()])
                self._lasts[self._far] += _LEARNT * (lasted - self._lasts[self._far])
            self._far = int(error > _FAR * self._usual and self._usual <= _FIRM * float(mean @ mean))
            calm = not self.surprised
            self.surprised = self.seen > 1 and error > _SURPRISE * self._usual
            self._first = calm and self.surprised
            capped = min(error, _SURPRISE * self._usual) if self.seen > 1 else error
            self._usual = error if self.seen == 1 else 0.9 * self._usual + 0.1 * capped
            self._errors = self._errors * (1.0 - 1.0 / _MEMORY) + errors
        for i, length in enumerate(self._lengths.tolist()):
            if self.seen >= length:
                self._sums[i] -= self._kept[-length]
        self._sums[:-1] += vector
        self._sums[-1] = vector if self.surprised else self._sums[-1] + vector
        self._run = 1 if self.surprised else self._run + 1
        self._kept.append(vector)
        if len(self._kept) > 2 * self._lengths[-1]:
            del self._kept[: -int(self._lengths[-1])]
        self.seen += 1

    @property
    def length(self) -> int:
        """Number of vectors to look at, as far as they are there."""
        return int(self._counts()[self._chosen()]) if self.seen else 0

    @property
    def mean(self) -> FloatArray:
        """Their mean."""
        chosen = self._chosen()
        mean: FloatArray = self._sums[chosen] / self._counts()[chosen]
        return mean

    def last(self, count: int) -> list[FloatArray]:
        """So many of the last ones, as far as they are there; the latest comes last."""
        return self._kept[-count:]

    def _counts(self) -> FloatArray:
        """Vectors in each sum."""
        return np.minimum(np.append(self._lengths, self._run), self.seen)

    def _chosen(self) -> int:
        if self._fixed:
            return 0
        if self.surprised and self._lasts[self._far] > _MOSTLY:
            return len(self._sums) - 1
        return self._longest()

    def _longest(self) -> int:
        """Of the sums whose errors are about the least, that of most vectors."""
        counts = self._counts()
        close = np.flatnonzero(self._errors <= _CLOSE * self._errors.min())
        return int(close[np.argmax(counts[close])])


class Forecast:
    """Batches that stand for the next one.

    Means are those of a window, moved towards what entry and service explain by themselves, as far as the scatter
    of counts explains the difference. Where counts scatter widely, as many rows as `_ROWS` carry the quantiles of
    count over mean, each type in an order of its own.

    Source: shrinkage by what scatter explains, Efron and Morris, Stein's estimation rule and its competitors, JASA
    68(341), 1973; variances from successive differences, which a slow drift leaves alone, von Neumann, Kent, Bellinson
    and Hart, The mean square successive difference, Annals of Mathematical Statistics 12(2), 1941.

    Parameters
    ----------
    length : slots to look at, if it is not to be chosen.
    """

    def __init__(self, network: Network, seed: int, length: int | None = None) -> None:
        self._network = network
        self._window = Window(network.R, length)
        self._capacities = Window(network.P)
        self._still: FloatArray | None = None  # capacities, while they have not changed
        self._variances = np.zeros(network.R)
        self._pairs = 0
        rng = generator(seed, 5)
        self._orders = rng.permuted(np.tile(np.arange(_ROWS)[:, None], (1, network.R)), axis=0)

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """See a batch (R,) and the capacities (P,) in force."""
        requests = np.array(shaped("requests", requests, (self._network.R,)), dtype=np.float64)
        capacities = shaped("capacities", capacities, (self._network.P,))
        last = self._window.last(1)
        self._window.see(requests)
        if last and not self._window.surprised:
            self._pairs += 1
            weight = max(1.0 / self._pairs, 1.0 / _MEMORY)
            self._variances += weight * (0.5 * (requests - last[0]) ** 2 - self._variances)
        if self._still is None or not np.array_equal(self._still, capacities) or self._capacities.seen > 1:
            self._still = np.array(capacities, dtype=np.float64)
            self._capacities.see(self._still)

    @property
    def surprised(self) -> bool:
        """Whether the last batch was far off the forecast."""
        return self._window.surprised

    @property
    def length(self) -> int:
        """Batches that the means are over."""
        return self._window.length

    def last(self, count: int) -> FloatArray:
        """(up to `count`, R) the last batches."""
        return np.stack(self._window.last(count))

    @property
    def mean(self) -> FloatArray:
        """(R,) requests."""
        network, plain = self._network, self._window.mean
        fitted = _product(plain, network.type_entry, network.type_service)
        used = fitted > 0.0
        apart = float(((plain - fitted)[used] ** 2 / fitted[used]).sum())
        entries, services = len(np.unique(network.type_entry)), len(np.unique(network.type_service))
        free = (entries - 1) * (services - 1) / (entries * services)  # of scatter, the part that the fit leaves
        scatter = free * float((self._variances[used] / fitted[used]).sum()) / max(1, self.length)
        share = min(1.0, scatter / apart) if apart > 0.0 else 0.0
        return plain + share * (fitted - plain)

    @property
    def capacities(self) -> FloatArray:
        """(P,) requests per slot."""
        return self._capacities.mean

    def rows(self) -> tuple[FloatArray, FloatArray]:
        """Requests (T, R), which count alike, and capacities (1, P)."""
        mean = self.mean
        squared = float(mean @ mean)
        scatter = float(self._variances.sum()) / squared if squared > 0.0 else 0.0
        if scatter <= _STEADY:
            return mean[None], self.capacities[None]
        return mean * self._quantiles()[self._orders], self.capacities[None]

    def _quantiles(self) -> FloatArray:
        """(`_ROWS`,) means of count over mean within as many parts of its law, pooled over types; their mean is 1."""
        batches = self.last(_POOL)
        means = batches.mean(axis=0)
        most = np.argsort(-means, kind="stable")[:_POOL]
        most = most[means[most] > 0.0]
        ratios = (batches[:, most] / means[most]).ravel()
        weights = np.broadcast_to(means[most], (len(batches), len(most))).ravel()
        order = np.argsort(ratios, kind="stable")
        reached = np.cumsum(weights[order]) / weights.sum()
        part = np.minimum((reached * _ROWS).astype(np.int64), _ROWS - 1)
        sums = np.bincount(part, weights[order] * ratios[order], minlength=_ROWS)
        return sums / sums.sum() * _ROWS


def _product(values: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Values (n,) of a table by what its rows and its columns explain: the product with the same sums.

    Source: iterative proportional fitting, Deming and Stephan, Annals of Mathematical Statistics 11(4), 1940.
    """
    fitted = np.ones(len(values))
    for _ in range(4):  # one is enough where every row meets every column
        for index in (rows, columns):
            wanted, found = np.bincount(index, values), np.bincount(index, fitted)
            fitted = fitted * np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)[index]
    return fitted
