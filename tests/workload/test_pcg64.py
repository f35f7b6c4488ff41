"""NumPy's generator in compiled code: the same numbers, from any of them on."""

from __future__ import annotations

import numpy as np
import pytest

from idn_gym.errors import IdnError
from idn_gym.workload import pcg64


def test_numbers_are_numpys_from_any_of_them_on() -> None:
    for seed in (0, 1, [1, 7], 2**63):
        generator = np.random.default_rng(seed)
        state, expected = pcg64.state_of(generator), generator.random(2000)
        for steps in (0, 1, 2, 63, 1024, 1999):
            found = np.empty(len(expected) - steps)
            pcg64.fill_uniforms(state, pcg64.strides(np.array([steps]))[0], found)
            assert found.tolist() == expected[steps:].tolist()
        pcg64.skip(state, pcg64.strides(np.array([2000]))[0])
        assert state.tolist() == pcg64.state_of(generator).tolist()


def test_far_ahead() -> None:
    ahead = np.random.PCG64(5)
    state = pcg64.state_of(np.random.Generator(np.random.PCG64(5)))
    pcg64.skip(state, pcg64.strides(np.array([2**62]))[0])
    ahead.advance(2**62)
    assert state.tolist() == pcg64.state_of(np.random.Generator(ahead)).tolist()


def test_other_generators_are_refused() -> None:
    with pytest.raises(IdnError, match="generator: Philox; must be a PCG64"):
        pcg64.state_of(np.random.Generator(np.random.Philox(0)))
