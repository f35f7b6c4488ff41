"""Published variants of YOLOv4 on two GPUs: every figure with its source, or the rule it was estimated by.

And models whose placements are configurations, of cores and a batch size, from a table of how they were profiled.

Sources: AlexeyAB/darknet README @59596d7 (mAP@0.5, weights, FPS of yolov4-tiny on an RTX 2080 Ti), ceccocats/tkDNN
README @0292e21 (FPS of YOLOv4, FP32, batch 1), nightsnack/YOLObile @900db66 (pruned YOLOv4: mAP@0.5, GFLOPs, weights).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_RTX, _XAVIER = "rtx-2080-ti", "agx-xavier"
PROCESSORS = (_RTX, _XAVIER)

_DARKNET = "darknet README"
_TKDNN = "tkDNN README (FP32, batch 1)"


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from: a source, or "estimate:" and the rule."""

    value: float
    source: str


@dataclass(frozen=True)
class Profile:
    """A variant on one processor."""

    processor: str
    size: Figure  # memory in use, MB
    delay: Figure  # ms
    throughput: Figure  # requests/s


@dataclass(frozen=True)
class Row:
    """A configuration of a model as it was profiled: cores, requests in a batch, and what they come to."""

    cores: int
    batch: int
    latency: float  # ms that a batch takes
    throughput: float  # requests/s


@dataclass(frozen=True)
class Variant:
    """A published way to run one detection model."""

    name: str
    accuracy: Figure  # mAP@0.5, percentage points
    profiles: tuple[Profile, ...]


def detection_models(tasks: Sequence[str]) -> list[dict[str, Any]]:
    """The `models` of a scenario file: every variant for every task, named ``task/variant``.

    Parameters
    ----------
    tasks : names of object-detection tasks; each gets all of `VARIANTS`.

    Returns
    -------
    One entry per (task, variant), task by task.
    """
    return [
        {
            "name": f"{task}/{variant.name}",
            "task": task,
            "accuracy": variant.accuracy.value,
            "profiles": {
                profile.processor: {key: figure.value for key, figure in _figures(profile)}
                for profile in variant.profiles
            },
        }
        for task in tasks
        for variant in VARIANTS
    ]


def detection_provenance() -> dict[str, str]:
    """The `provenance` of `detection_models`: the source of every figure, ``*`` standing for any task."""
    sources: dict[str, str] = {}
    for variant in VARIANTS:
        key = f"models.*/{variant.name}"
        sources[f"{key}.accuracy"] = variant.accuracy.source
        for profile in variant.profiles:
            for name, figure in _figures(profile):
                sources[f"{key}.profiles.{profile.processor}.{name}"] = figure.source
    return sources


def configurations(
    task: str,
    variant: str,
    accuracy: float,
    table: Iterable[Row],
    processor: str,
    *,
    core_mb: float = 1.0,
    core_price: float = 0.0,
) -> list[dict[str, Any]]:
    """The `models` of a scenario file that are configurations of one variant, named ``task/variant-c4-b1``.

    A request takes as long as its batch.

    Parameters
    ----------
    accuracy : percentage points.
    table : one row per configuration.
    core_mb : MB of memory that go with a core; of the default, sizes and budgets count cores.
    core_price : currency per hour of a core.

    Examples
    --------
    >>> configurations("cars", "small", 60.0, [Row(4, 2, 20.0, 100.0)], "cpu", core_price=0.05)[0]["profiles"]
    {'cpu': {'size': 4.0, 'delay': 20.0, 'throughput': 100.0, 'price': 0.2}}
    """
    return [
        {
            "name": f"{task}/{variant}-c{row.cores}-b{row.batch}",
            "task": task,
            "accuracy": accuracy,
            "profiles": {
                processor: {
                    "size": row.cores * core_mb,
                    "delay": row.latency,
                    "throughput": row.throughput,
                    "price": row.cores * core_price,
                }
            },
        }
        for row in table
    ]


def cpu_table(gflops: float, cores: Iterable[int], batches: Sequence[int]) -> list[Row]:
    """How a model of so many GFLOPs would profile on cores of a CPU; made up, by `CPU_RULE`."""
    rows = []
    for c in cores:
        for b in batches:
            latency = 10.0 + 12.0 * gflops * b * (0.1 + 0.9 / c)
            rows.append(Row(c, b, round(latency, 2), round(1000.0 * b / latency, 2)))
    return rows


CPU_RULE = (
    "made up: a batch of b takes 10 ms + b x GFLOPs x 12 ms x (0.1 + 0.9 / cores), Amdahl's law with a tenth serial; "
    "throughput = 1000 b / that; GFLOPs of torchvision's documentation"
)


def _figures(profile: Profile) -> Iterable[tuple[str, Figure]]:
    return (("size", profile.size), ("delay", profile.delay), ("throughput", profile.throughput))


def _variant(name: str, accuracy: Figure, size: Figure, fps: Sequence[Figure]) -> Variant:
    """A variant from its FPS at batch 1 on each of `PROCESSORS`; memory is taken as the same on both."""
    profiles = zip(PROCESSORS, fps, strict=True)
    return Variant(name, accuracy, tuple(Profile(p, size, _delay(f), f) for p, f in profiles))


def _delay(fps: Figure) -> Figure:
    """At batch 1 a request takes as long as a frame."""
    rule = "estimate: 1000 / throughput" if fps.source.startswith("estimate") else f"1000 / FPS of the {fps.source}"
    return Figure(round(1000.0 / fps.value, 2), rule)


def _size(weights_mb: float, resolution: int, source: str) -> Figure:
    """Weights and what the input needs; fitted on one public figure, about 2.09 GiB for yolov4-608."""
    rule = f"estimate: weights of {weights_mb:g} MB ({source}) + 4.99e-3 x {resolution}^2"
    return Figure(round(weights_mb + 4.99e-3 * resolution**2, 2), rule)


# The exponent lies between 0.63 and 0.72 on YOLObile's phones: FPS grow more slowly than GFLOPs shrink.
_SPEED_EXPONENT = 0.69


def _yolov4(resolution: int, accuracy: float, rtx_fps: float, xavier_fps: float) -> Variant:
    return _variant(
        f"yolov4-{resolution}",
        Figure(accuracy, _DARKNET),
        _size(245.0, resolution, _DARKNET),
        (Figure(rtx_fps, _TKDNN), Figure(xavier_fps, _TKDNN)),
    )


_YOLOV4_320 = _yolov4(320, 60.0, 118.59, 26.78)
_YOLOV4_416 = _yolov4(416, 62.8, 104.81, 19.96)


def _pruned(pruning: str, accuracy: float, weights_mb: float, gflops: float, source: str) -> Variant:
    """YOLObile at 320 x 320, as much faster than yolov4-320 as its GFLOPs say; dense: 34.5 GFLOPs."""
    rule = f"estimate: FPS of yolov4-320 x (34.5 / {gflops} GFLOPs)^{_SPEED_EXPONENT}"
    speed_up = (34.5 / gflops) ** _SPEED_EXPONENT
    return _variant(
        f"yolobile-{pruning}",
        Figure(accuracy, source),
        _size(weights_mb, 320, "YOLObile"),
        [Figure(round(dense.throughput.value * speed_up, 2), rule) for dense in _YOLOV4_320.profiles],
    )


def _tiny() -> tuple[Variant, Variant]:
    rtx, xavier = (profile.throughput.value for profile in _YOLOV4_320.profiles)
    fps_416 = (
        Figure(443.0, _DARKNET),
        Figure(round(443.0 * xavier / rtx, 2), "estimate: FPS on rtx-2080-ti x ratio of yolov4-320 on the two"),
    )
    tiny_416 = _variant("yolov4-tiny-416", Figure(40.2, _DARKNET), _size(23.1, 416, _DARKNET), fps_416)

    loss_416_to_320 = 1.0 - _YOLOV4_320.accuracy.value / _YOLOV4_416.accuracy.value
    loss = loss_416_to_320 * math.log(416 / 288) / math.log(416 / 320)
    accuracy = Figure(
        round(40.2 * (1.0 - loss), 1),
        "estimate: 40.2 at 416 less YOLOv4's relative loss per log of resolution (416 to 320), carried to 288",
    )
    rule = f"estimate: FPS of yolov4-tiny-416 x (6.9 / 3.3 GFLOPs)^{_SPEED_EXPONENT}"
    fps_288 = [Figure(round(fps.value * (6.9 / 3.3) ** _SPEED_EXPONENT, 2), rule) for fps in fps_416]
    return tiny_416, _variant("yolov4-tiny-288", accuracy, _size(23.1, 288, _DARKNET), fps_288)


_FIGURE_READ = "YOLObile, read off its figure (+-0.3)"

VARIANTS: tuple[Variant, ...] = (
    _yolov4(608, 65.7, 63.77, 9.45),
    _yolov4(512, 64.9, 92.98, 16.58),
    _YOLOV4_416,
    _YOLOV4_320,
    _pruned("4x", 55.1, 61.0, 10.39, _FIGURE_READ),
    _pruned("8x", 51.4, 31.0, 6.08, "YOLObile README"),
    _pruned("10x", 50.9, 25.0, 5.23, _FIGURE_READ),
    _pruned("14x", 49.0, 18.0, 3.73, "YOLObile README"),
    *_tiny(),
)

# top-1 on ImageNet (percentage points) and GFLOPs per image; torchvision documentation, weights IMAGENET1K_V1
RESNETS: dict[str, tuple[float, float]] = {
    "resnet18": (69.758, 1.81),
    "resnet50": (76.13, 4.09),
    "resnet152": (78.312, 11.51),
}
