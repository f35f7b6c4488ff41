"""Synthetic twins of request streams that may not be shipped: the same mean, deviation and course, drawn anew.

Source of mean, deviation and levels: requests per second of the Twitter stream of August 2021 in the windows that
InfAdapter and IPA are evaluated on (archive.org, by way of reconfigurable-ml-pipeline/web-service-datasets).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_gym.typing import FloatArray


@dataclass(frozen=True)
class Window:
    """Requests per second of a window: its length, its moments, and the course of its level."""

    seconds: int
    mean: float
    deviation: float
    levels: tuple[tuple[float, float], ...]  # (second, requests/s), between which the level is a line


WINDOWS = {
    "infadapter": Window(
        1260,
        96.6,
        74.1,
        (
            (0, 43),
            (580, 47),
            (635, 50),
            (645, 215),
            (760, 226),
            (950, 200),
            (1010, 150),
            (1080, 80),
            (1110, 53),
            (1260, 50),
        ),
    ),
    "bursty": Window(
        1200,
        99.8,
        74.6,
        (
            (0, 44),
            (340, 47),
            (395, 50),
            (405, 215),
            (520, 226),
            (710, 200),
            (770, 150),
            (840, 80),
            (870, 53),
            (1200, 48),
        ),
    ),
    "steady-low": Window(1200, 43.9, 7.3, ((0, 44), (1200, 44))),
    "steady-high": Window(600, 234.2, 15.3, ((0, 234), (600, 234))),
    "fluctuating-a": Window(
        600, 152.7, 73.8, ((0, 44), (100, 47), (155, 50), (165, 215), (280, 226), (470, 200), (530, 150), (600, 80))
    ),
    "fluctuating-b": Window(
        600, 118.8, 71.7, ((0, 56), (140, 62), (155, 210), (290, 223), (340, 180), (390, 130), (425, 64), (600, 56))
    ),
}


def requests(window: str, seed: int) -> FloatArray:
    """(T,) requests of each second, whole numbers; their mean and deviation are the window's, but for rounding."""
    shape = WINDOWS[window]
    at, level = np.array(shape.levels).T
    course = np.interp(np.arange(shape.seconds) + 0.5, at, level)
    drawn = course + np.sqrt(course) * np.random.default_rng(seed).standard_normal(shape.seconds)
    scaled = shape.mean + (drawn - drawn.mean()) * shape.deviation / drawn.std()
    return np.maximum(np.rint(scaled), 0.0)
