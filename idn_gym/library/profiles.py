"""Published profiles of models on CPU cores, as facts with their source: what scenarios and systems are made of."""

from __future__ import annotations

from functools import cache

import numpy as np

# InfAdapter. Source: reconfigurable-ml-pipeline/InfAdapter; capacities: auto_tuner/adapter/capacity_result_Feb_21.csv,
# requests/s at which the 99th percentile of latency is within 750 ms, for 1 to 20 cores.
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")  # by accuracy
RESNET_ACCURACY = np.array([0.69758, 0.73314, 0.7613, 0.77374, 0.78312])
RESNET_LOADING_S = np.array([6.44, 6.79, 6.82, 7.77, 8.52])
RESNET_CAPACITY = np.array(
    [
        [19, 43, 68, 90, 122, 155, 169, 190, 219, 253, 268, 289, 330, 344, 359, 385, 402, 431, 449, 473],
        [12, 25, 36, 54, 61, 75, 81, 94, 116, 125, 143, 162, 163, 184, 208, 210, 233, 244, 257, 259],
        [8, 17, 30, 36, 48, 65, 67, 78, 84, 97, 109, 118, 128, 145, 148, 162, 161, 177, 184, 200],
        [5, 10, 17, 22, 29, 31, 36, 39, 47, 47, 55, 65, 65, 71, 78, 82, 89, 88, 93, 98],
        [1, 5, 13, 15, 16, 25, 25, 27, 29, 38, 40, 39, 46, 49, 53, 59, 59, 55, 61, 67],
    ],
    dtype=np.float64,
)
RESNET_SLO_MS = 750.0
CAPACITY_SHARE = 0.8  # of the fitted capacity that InfAdapter counts on
_FITTED_AT = np.array([1, 2, 4, 8, 16])  # cores

# Sponge: latency in ms over batches (rows) and cores (columns).
# Source: saeid93/sponge, experiments/runner/notebooks/algorithms.ipynb, l_data.
BATCHES, CORES = (1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32)
BATCH_LATENCY_MS = (
    (45.993, 28.877, 18.015, 12.402, 12.998, 12.614),
    (78.691, 44.688, 27.158, 18.366, 15.046, 14.883),
    (145.413, 82.432, 50.079, 31.439, 26.703, 26.107),
    (287.641, 166.14, 87.943, 57.045, 46.492, 42.403),
    (383.536, 222.231, 169.03, 114.533, 88.064, 86.104),
)


@cache
def capacity_fits() -> tuple[tuple[float, float], ...]:
    """(slope, intercept) of the capacity of each of `RESNETS` over cores, in requests/s."""
    return tuple(
        (float(slope), float(intercept))
        for slope, intercept in (np.polyfit(_FITTED_AT, row[_FITTED_AT - 1], 1) for row in RESNET_CAPACITY)
    )


@cache
def latency_fit() -> tuple[float, float, float, float]:
    """g, d, e, h in ms of l(b, c) = g b/c + d b + e/c + h: least squares on `BATCH_LATENCY_MS`."""
    batch, cores = (grid.ravel() for grid in np.meshgrid(BATCHES, CORES, indexing="ij"))
    columns = np.stack([batch / cores, batch, 1.0 / cores, np.ones(batch.size)], axis=1)
    g, d, e, h = np.linalg.lstsq(columns, np.ravel(BATCH_LATENCY_MS), rcond=None)[0].tolist()
    return g, d, e, h
