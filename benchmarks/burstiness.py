"""How bursty real request counts are, in the terms of the workload `burst`.

    python benchmarks/burstiness.py FOLDER

FOLDER holds AzureLLMInferenceTrace_code.csv and _conv.csv (github.com/Azure/AzurePublicDataset, CC-BY-4.0; a row per
request) and twitter_stream_2021_08_per_minute.csv (columns minute, mean_rps, ...; from the archive.org Twitter stream
of August 2021 by way of github.com/reconfigurable-ml-pipeline/web-service-datasets) and
twitter_segments_per_second.json (windows of it by the second: name -> {"rps": [...]}). None of them ships.

The slow trend m is a centred running mean over 15 minutes, or 60 where there is enough. What is left over is fitted
by n ~ Poisson(m g), g of a gamma law of mean 1: its shape by moments, from Var n = m + m^2 / shape, and by maximum
likelihood (negative binomial); `persistence` is the lag-1 correlation of g, the Poisson noise taken out. Taking the
trend out also takes out what persists as long as its window. Intervals: 95%, bootstrap over blocks of a third of the
trend's window; dependence beyond a block is not in them. The last rows are the packaged synthetic twin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from idn_gym.replay import TWIN, read_counts
from idn_gym.typing import FloatArray

RESAMPLES = 2000
SEED = 0


def main(folder: Path) -> None:
    """Print the table."""
    fitted = ["dispersion", "shape, moments", "shape, ML", "persistence"]
    columns = ["counts", "slot s", "trend min", "slots", "mean", "zeros", *fitted]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for name, slot_seconds, parts in series(folder):
        for minutes in (5, 15, 60):
            width = 2 * int(30 * minutes / slot_seconds) + 1
            long_enough = [part for part in parts if len(part) >= 2 * width]
            # five minutes are for the windows of 10 to 21 minutes, which have no others
            if not long_enough or (minutes == 5) != (len(parts[0]) * slot_seconds < 1800):
                continue
            print(f"| {name} | {slot_seconds:g} | {minutes} | {_row(long_enough, width)} |", flush=True)


def series(folder: Path) -> Iterator[tuple[str, float, list[FloatArray]]]:
    """Name, slot length in seconds, and counts in stretches without gaps."""
    for service in ("code", "conv"):
        for slot_seconds in (10.0, 60.0):
            counts = read_counts(folder / f"AzureLLMInferenceTrace_{service}.csv", slot_seconds)
            yield f"Azure LLM, {service}", slot_seconds, [counts[:-1]]  # the last slot is cut short
    table = np.genfromtxt(folder / "twitter_stream_2021_08_per_minute.csv", delimiter=",", names=True)
    month = np.rint(table["mean_rps"] * 60.0)
    # minutes without a tweet, in runs of 28 a day at a mean of 3,800, are gaps in the collection
    yield "Twitter, 22 days", 60.0, [part[part > 0] for part in np.split(month, np.flatnonzero(month == 0))]
    for name, window in json.loads((folder / "twitter_segments_per_second.json").read_text()).items():
        per_second = np.array(window["rps"], dtype=np.float64)
        yield f"Twitter, {name}", 10.0, [per_second[: len(per_second) // 10 * 10].reshape(-1, 10).sum(axis=1)]
    for slot_seconds in (10.0, 60.0):
        yield "synthetic twin", slot_seconds, [read_counts(Path(TWIN), slot_seconds)]


def _row(parts: list[FloatArray], width: int) -> str:
    counts, trends, pairs, blocks = [], [], [], []
    for index, part in enumerate(parts):
        trend = np.convolve(part, np.ones(width) / width, "valid")
        count = part[width // 2 : width // 2 + len(trend)]
        left = count - trend
        counts.append(count)
        trends.append(trend)
        pairs.append(np.append(left[1:] * left[:-1], 0.0))
        blocks.append(index * 10**6 + np.arange(len(trend)) // (width // 3))
    n, m, pair = np.concatenate(counts), np.concatenate(trends), np.concatenate(pairs)
    _, block = np.unique(np.concatenate(blocks), return_inverse=True)
    # a running mean over `width` that contains the slot itself takes 1/width of white noise's variance away
    sums = np.array([np.bincount(block, x) for x in ((n - m) ** 2 * width / (width - 1), pair, m, m * m)])
    generator = np.random.default_rng(SEED)
    resampled = sums[:, generator.integers(sums.shape[1], size=(RESAMPLES, sums.shape[1]))].sum(axis=2)
    whole = sums.sum(axis=1)[:, None]
    cells = [f"{len(n)}", f"{n.mean():.1f}", f"{(n == 0).mean():.1%}"]
    cells += [_cell(statistic(whole)[0], statistic(resampled)) for statistic in (_dispersion, _shape)]
    cells += [f"{_likeliest_shape(n, m):.3g}", _cell(_persistence(whole)[0], _persistence(resampled))]
    return " | ".join(cells)


def _dispersion(sums: FloatArray) -> FloatArray:
    square, _, mean, _ = sums
    return square / mean


def _shape(sums: FloatArray) -> FloatArray:
    square, _, mean, mean_squared = sums
    return mean_squared / np.maximum(square - mean, 1e-9)


def _persistence(sums: FloatArray) -> FloatArray:
    square, pair, mean, _ = sums
    return pair / np.maximum(square - mean, 1e-9)


def _likeliest_shape(n: FloatArray, m: FloatArray) -> float:
    n, m = n[m > 0], m[m > 0]

    def loss(log_shape: float) -> float:
        k = np.exp(log_shape)
        terms = gammaln(n + k) - gammaln(k) + k * np.log(k / (k + m)) + n * np.log(m / (k + m))
        return -float(terms.sum())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(1e-2), np.log(1e5)), method="bounded").x))


def _cell(value: float, resampled: FloatArray) -> str:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
