"""Opinions that spread over a directed graph: by DeGroot's model, and where nodes conform to their own first one.

An arc u -> v, of a weight at least 0, says that v listens to u.
"""

from __future__ import annotations

import numpy as np

from idn_gym.typing import FloatArray, IntArray


def normalised(weights: FloatArray) -> FloatArray:
    """(n, n) weights with rows that sum to 1; a row without any stays 0."""
    sums = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0.0)


def listening(weights: FloatArray) -> FloatArray:
    """(n, n) W of DeGroot's model: what each listens to, in rows that sum to 1.

    A node that listens to nobody keeps its own opinion.
    """
    heard = normalised(weights.T)
    heard[np.diag_indices_from(heard)] += heard.sum(axis=1) == 0.0
    return heard


def spread(weights: FloatArray, leaders: IntArray, pinned: bool, steps: int) -> float:
    """Total opinion after so many steps of DeGroot's model, x(t+1) = W x(t), from 1 at the leaders.

    Where they are pinned, it stays 1 there.
    """
    heard = listening(weights)
    opinion = np.zeros(len(weights))
    opinion[leaders] = 1.0
    for _ in range(steps):
        opinion = heard @ opinion
        if pinned:
            opinion[leaders] = 1.0
    return float(opinion.sum())


def conforming(weights: FloatArray, standing: FloatArray) -> tuple[FloatArray, FloatArray]:
    """W, (n, n), and D, (n,), of the authors' x(t+1) = W x(t) + D x(0).

    Among those that i listens to, W_ij = c_j / (c_i + sum_in c) and D_ii = c_i / (c_i + sum_in c).

    Parameters
    ----------
    standing : (n,) c > 0.
    """
    heard = (weights.T > 0.0) * standing
    sums = standing + heard.sum(axis=1)
    return heard / sums[:, None], standing / sums


def spread_conforming(weights: FloatArray, standing: FloatArray, leaders: IntArray, least: float = 0.1) -> float:
    """Total opinion of the authors' model, from 1 at the leaders, once a step changes it by less than `least`."""
    heard, own = conforming(weights, standing)
    opinion = start = np.bincount(leaders, minlength=len(weights)).astype(float)
    while True:
        following = heard @ opinion + own * start
        if abs(following.sum() - opinion.sum()) < least:
            return float(following.sum())
        opinion = following
