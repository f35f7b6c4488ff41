"""What `batched.py` measures, by name, and the tables that its results make."""

from __future__ import annotations

from typing import Any

from stored import markdown, of

REGIMES = ("loose", "tight")
FORMS = ("numpy verbatim", "torch verbatim", "torch factored", "torch compiled")
FORMS += ("jax verbatim", "jax factored", "jax verbatim rows", "jax factored rows")
SIZES = (64, 1024)
STEPS = {  # forms of a step, what they are called, and with how many threads each is measured
    "idn_gym": ("environment step, NumPy in and out", (1, 2)),
    "idn_gym in place": ("the same, `copy=False`", (1, 2)),
    "idn_gym tensors": ("the same with CPU tensors", (1, 2)),
    "SyncVectorEnv": ("Gymnasium's `SyncVectorEnv` over the scalar environment", (1,)),
}
SHOWN = {
    "`idn_gym.batched`, values unchecked": ("gain", ("idn_gym",)),
    "the same, values checked": ("gain", ("idn_gym checked",)),
    "`idn_gym.batched.gain` alone": ("gain only", ("idn_gym",)),
    "NumPy, verbatim": ("gain", ("numpy verbatim",)),
    "PyTorch eager, verbatim": ("gain", ("torch verbatim",)),
    "PyTorch eager, factored": ("gain", ("torch factored",)),
    "`torch.compile`, factored": ("gain", ("torch compiled",)),
    "JAX jit, best of four forms": ("gain", tuple(form for form in FORMS if form.startswith("jax"))),
}
INFIDA = {
    "float32": "a slot of batched INFIDA, float32: gain and subgradient, step and projection, rounding",
    "float64": "the same in float64, equal to the scalar agent's",
}


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown: forms of the gain beside each other, how its cost grows with B, and whole slots."""
    plain = [row for row in document["rows"] if not {"options", "nodes"} & set(row)]
    columns = [{"rows": rows, "regime": regime} for rows in SIZES for regime in REGIMES]
    lines = []
    for about, (what, names) in SHOWN.items():
        each = [[row for name in names for row in of(plain, what=what, name=name, **column)] for column in columns]
        grown = [
            row["grown_bytes"] / row["must_move"]
            for rows, column in zip(each, columns, strict=True)
            if column["rows"] == SIZES[0]
            for row in rows
        ]
        low, high = f"{min(grown):.1f}", f"{max(grown):.1f}"
        medians = [_us(min(rows, key=lambda row: row["median_us"])) for rows in each]
        lines.append([about, *medians, low if low == high else f"{low} to {high}"])
    header = ["form", *(f"B = {column['rows']}, {column['regime']}" for column in columns)]
    header.append(f"memory it grows by (B = {SIZES[0]}), of what it must read and write")
    tight = sorted(of(plain, what="gain", name="idn_gym", regime="tight"), key=lambda row: row["rows"])
    growing = [row for row in document["rows"] if {"options", "nodes"} & set(row)]
    each_slot = "microseconds per environment-slot"
    return {
        "gain": markdown(header, lines),
        "rivals": markdown(("beside", "times as long", "of the copy bandwidth"), _rivals(plain, columns)),
        "growth": markdown(["B, tight", *(str(row["rows"]) for row in tight)], [[each_slot, *map(_us, tight)]]),
        "networks": markdown(["loose", *map(_network, growing)], [[each_slot, *map(_us, growing)]]),
        "slots": markdown(_WHOLE, [*_steps_told(plain), *_infida_told(plain, document)]),
    }


_WHOLE = ("what", "B", "threads", "microseconds per environment-slot", "per second", "times `SyncVectorEnv`")


def _us(row: dict[str, Any]) -> str:
    us = row["median_us"]
    return f"{us:,.0f}" if us >= 100 else f"{us:.3g}"


def _rivals(rows: list[dict[str, Any]], columns: list[dict[str, Any]]) -> list[list[str]]:
    """How much longer each form takes than the first, over the columns, and the share of the bandwidth it reaches."""
    copied = of(rows, what="copy")[0]["bytes_per_s"]
    best = [
        [min(of(rows, what=what, **column, name=name)[0]["median_us"] for name in names) for column in columns]
        for what, names in SHOWN.values()
    ]
    lines = []
    for (about, (what, names)), found in zip(SHOWN.items(), best, strict=True):
        times = sorted(us / own for us, own in zip(found, best[0], strict=True))
        rates = sorted(
            max(of(rows, what=what, name=name, **column)[0]["bytes_per_s"] for name in names) / copied
            for column in columns
        )
        shares = f"{rates[0]:.1%} to {rates[-1]:.1%}"
        lines.append([about, f"{times[0]:.2g} to {times[-1]:.2g}", shares])
    return lines


def _network(row: dict[str, Any]) -> str:
    """What a row is of: options that were asked for, or nodes of a tree."""
    of = f"{row['options']} options" if "options" in row else f"{row['nodes']:,} nodes"
    return f"{of}, B = {row['rows']}"


def _steps_told(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Lines about steps: how much faster each is than Gymnasium's own, of the same run."""
    slowest = of(rows, what="steps", name="SyncVectorEnv")
    lines = []
    for name, (about, _) in STEPS.items():
        for row in of(rows, what="steps", name=name):
            times = f"{slowest[0]['median_us'] / row['median_us']:.1f}" if slowest else ""
            lines.append([about, *_whole(row, row["threads"]), times])
    return lines


def _infida_told(rows: list[dict[str, Any]], document: dict[str, Any]) -> list[list[str]]:
    found = [(about, row) for name, about in INFIDA.items() for row in of(rows, what="infida", name=name)]
    return [[about, *_whole(row, document["threads"]), ""] for about, row in found]


def _whole(row: dict[str, Any], threads: int) -> list[str]:
    return [str(row["rows"]), str(threads), _us(row), f"{1e6 / row['median_us']:,.0f}"]
