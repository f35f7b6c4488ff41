"""Gain and subgradient as one would write them with other libraries; what `benchmarks/batched.py` compares with.

``verbatim`` forms the potential capacities l (R, K) and follows the paper's formulas; ``factored`` works with
w = min(1, L/S) y and never forms l. Both are given every index table beforehand, and compute in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from idn_gym.model.network import Network

CHUNK = 64  # rows at a time, where a form would else page-fault its temporaries
Form = Callable[[Any, Any], Any]  # requests (B, R), allocation (B, P) -> gain (B,), subgradient (B, P)


def form(network: Network, name: str) -> Form:
    """One of ``numpy verbatim``, ``torch verbatim``, ``torch factored``, ``torch compiled``, ``jax verbatim``, ..."""
    library, _, kind = name.partition(" ")
    tables = _tables(network)
    if library == "numpy":
        return lambda r, y: _in_chunks(np, lambda *a: _verbatim(np, tables, _numpy_scatter, *a), r, y)
    if library == "torch":
        import torch

        tensors = {key: torch.from_numpy(array) for key, array in tables.items()}
        written = _verbatim if kind == "verbatim" else _factored

        def call(r: Any, y: Any) -> Any:
            return written(_Torch, tensors, _torch_scatter, r, y)

        call = torch.compile(call) if kind == "compiled" else call
        return lambda r, y: _in_chunks(torch, call, r, y)
    import jax
    import jax.numpy as jnp

    arrays = {key: jnp.asarray(array) for key, array in tables.items()}
    written = _verbatim if kind.startswith("verbatim") else _factored
    if kind.endswith("rows"):  # one row at a time in a compiled loop: what is temporary stays in the cache
        one = lambda row: tuple(part[0] for part in written(jnp, arrays, _jax_scatter, row[0][None], row[1][None]))  # noqa: E731
        return jax.jit(lambda r, y: jax.lax.map(one, (r, y)))
    return jax.jit(lambda r, y: written(jnp, arrays, _jax_scatter, r, y))


def _tables(network: Network) -> dict[str, Any]:
    groups = network.V * network.N
    visits = np.zeros((network.R, groups + 1), dtype=np.float32)
    for path in network.service.path_groups.T:
        visits[np.arange(network.R), path] = 1.0
    return {
        "visits": visits[:, :groups].copy(),  # (R, G): S = r visits
        "group": network.placement_group.astype(np.int64),
        "options": network.service.options.astype(np.int64),
        "costs": network.service.costs.astype(np.float32),
        "last": (network.service.option_count - 1).astype(np.int64),
        "capacities": network.capacities.astype(np.float32),
    }


def _verbatim(xp: Any, t: dict[str, Any], scatter: Any, r: Any, y: Any) -> Any:
    passing = r @ t["visits"]
    share = xp.minimum(t["capacities"] / xp.maximum(passing[:, t["group"]], 1e-30), t["capacities"] * 0 + 1)
    ones = xp.ones((r.shape[0], 1), dtype=share.dtype)
    potential = xp.concatenate([share, ones], 1)[:, t["options"]] * r[:, :, None]
    z = potential * xp.concatenate([y, ones], 1)[:, t["options"]]
    total = xp.cumsum(z, 2)
    covered = xp.minimum(total, r[:, :, None])
    steps = t["costs"][:, 1:] - t["costs"][:, :-1]
    gain = (steps * covered[:, :, :-1]).sum(2).sum(1)
    star = xp.minimum((total < r[:, :, None] * (1 - 1e-5)).sum(2), t["last"])
    at_star = t["costs"][xp.arange(r.shape[1])[None], star]
    saved = xp.maximum(at_star[:, :, None] - t["costs"], t["costs"] * 0)
    return gain, scatter(potential * saved, t["options"], y.shape[1] + 1)[:, :-1]


def _factored(xp: Any, t: dict[str, Any], scatter: Any, r: Any, y: Any) -> Any:
    passing = r @ t["visits"]
    share = xp.minimum(t["capacities"] / xp.maximum(passing[:, t["group"]], 1e-30), t["capacities"] * 0 + 1)
    ones = xp.ones((r.shape[0], 1), dtype=share.dtype)
    total = xp.cumsum(xp.concatenate([share * y, ones], 1)[:, t["options"]], 2)
    steps = t["costs"][:, 1:] - t["costs"][:, :-1]
    gain = (r * (steps * xp.minimum(total[:, :, :-1], total[:, :, :-1] * 0 + 1)).sum(2)).sum(1)
    star = xp.minimum((total < 1 - 1e-5).sum(2), t["last"])
    at_star = t["costs"][xp.arange(r.shape[1])[None], star]
    saved = xp.maximum(at_star[:, :, None] - t["costs"], t["costs"] * 0) * r[:, :, None]
    return gain, scatter(saved, t["options"], y.shape[1] + 1)[:, :-1] * share


def _numpy_scatter(values: Any, options: Any, width: int) -> Any:
    rows = values.reshape(len(values), -1)
    return np.stack([np.bincount(options.ravel(), row, minlength=width) for row in rows]).astype(values.dtype)


def _torch_scatter(values: Any, options: Any, width: int) -> Any:
    return values.new_zeros(len(values), width).index_add(1, options.flatten(), values.flatten(1))


def _jax_scatter(values: Any, options: Any, width: int) -> Any:
    import jax.numpy as jnp

    flat = values.reshape(len(values), -1)
    return jnp.zeros((len(values), width), values.dtype).at[:, options.ravel()].add(flat)


def _in_chunks(xp: Any, call: Callable[..., Any], r: Any, y: Any) -> Any:
    """Rows in chunks, into kept results."""
    parts = [call(r[i : i + CHUNK], y[i : i + CHUNK]) for i in range(0, len(r), CHUNK)]
    join = xp.cat if xp.__name__ == "torch" else xp.concatenate
    return parts[0] if len(parts) == 1 else tuple(join(part) for part in zip(*parts, strict=True))


class _Torch:
    """The functions of `torch` that the forms use, under NumPy's names and with scalars allowed."""

    @staticmethod
    def minimum(a: Any, b: Any) -> Any:
        import torch

        return torch.minimum(a, b)

    @staticmethod
    def maximum(a: Any, b: Any) -> Any:
        import torch

        return a.clamp(min=b) if isinstance(b, float) else torch.maximum(a, b)

    @staticmethod
    def concatenate(parts: Any, axis: int) -> Any:
        import torch

        return torch.cat(parts, axis)

    @staticmethod
    def cumsum(a: Any, axis: int) -> Any:
        return a.cumsum(axis)

    @staticmethod
    def ones(shape: tuple[int, ...], dtype: Any) -> Any:
        import torch

        return torch.ones(shape, dtype=dtype)

    @staticmethod
    def arange(n: int) -> Any:
        import torch

        return torch.arange(n)
