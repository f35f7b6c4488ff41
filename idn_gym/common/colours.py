"""Contrast of text with its ground, as the Web Content Accessibility Guidelines define it.

Colours are ``#rrggbb``, or (red, green, blue) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

LEAST_CONTRAST = 4.5  # of text, by WCAG 2.2, success criterion 1.4.3
LEAST_CONTRAST_OF_MARKS = 3.0  # criterion 1.4.11
WHITE, BLACK = "#ffffff", "#000000"
INK, FAINT = "#222222", "#d9d9d9"

Colour = str | Sequence[float]


def rgb(colour: Colour) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1]."""
    if isinstance(colour, str):
        return int(colour[1:3], 16) / 255.0, int(colour[3:5], 16) / 255.0, int(colour[5:7], 16) / 255.0
    return float(colour[0]), float(colour[1]), float(colour[2])


def contrast(one: Colour, other: Colour) -> float:
    """From 1, the same brightness, to 21, black on white. Source: WCAG 2.2, contrast ratio and relative luminance."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def text_on(ground: Colour) -> str:
    """Ink or white, the first that is readable on the ground; black where neither is, and then black is."""
    return next((colour for colour in (INK, WHITE) if contrast(colour, ground) >= LEAST_CONTRAST), BLACK)


def readable(colour: Colour, ground: Colour = WHITE) -> str:
    """The colour, mixed with as much black as it takes to read text of it on a light ground."""
    shades = (_mixed(colour, BLACK, percent / 100.0) for percent in range(0, 100, 4))
    return next((shade for shade in shades if contrast(shade, ground) >= LEAST_CONTRAST), BLACK)


def shaded(colour: Colour, towards: Colour, share: float) -> str:
    """The colour, mixed with a share of black or white, or as much as leaves it visible as a mark on white."""
    percents = range(round(100.0 * share), 0, -4)
    shades = (_mixed(colour, towards, percent / 100.0) for percent in percents)
    return next(
        (shade for shade in shades if contrast(shade, WHITE) >= LEAST_CONTRAST_OF_MARKS), _mixed(colour, WHITE, 0)
    )


def _mixed(colour: Colour, other: Colour, share: float) -> str:
    parts = zip(rgb(colour), rgb(other), strict=True)
    return "#" + "".join(f"{round(255.0 * ((1.0 - share) * one + share * two)):02x}" for one, two in parts)


def _luminance(colour: Colour) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
