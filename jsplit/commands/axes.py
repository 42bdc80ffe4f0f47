"""Axes of a sweep as they are typed.

Here: `parse_axes`. Not here: what the axes belong to (`sweeps.axes`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.grammar import read_value
from jsplit.types import JsplitError

OVER = (
    "axes as NAME=VALUES: a list (offload=0.1,0.3,0.5), a range of evenly spaced "
    "values (offload=0.1:0.5:9), of log-spaced ones (beta=0.1:10:5:log), or random "
    "draws (alpha=~0.5:0.9 beta=~0.1:10:log window=~10:999:integer), as many as "
    "--draws and all of them together. Axes that vary together: "
    "offload,alpha=0.1/0.6,0.2/0.7. An axis is a number of the costs, of policies "
    "(alpha; splitee.alpha for one of them), or horizon, protocol or stream."
)


def parse_axes(
    texts: Sequence[str], draws: int | None = None, seed: int = 0
) -> dict[str | tuple[str, ...], list[Any]]:
    """Returns the values of axes such as "offload=0.1:0.5:9", by name.

    Args:
        texts: one axis each, or several that vary together.
        draws: how many random draws there are; None where no axis is drawn.
        seed: of the draws.

    Raises:
        JsplitError: if a text is not of this form, or an axis is given twice.

    Example:
        >>> from jsplit.commands.axes import parse_axes
        >>> parse_axes(["beta=0.1:10:3:log", "protocol=paper,released"])
        {'beta': [0.1, 1.0, 10.0], 'protocol': ['paper', 'released']}
        >>> parse_axes(["offload,alpha=0.1/0.6,0.2/0.7"])
        {('offload', 'alpha'): [(0.1, 0.6), (0.2, 0.7)]}
    """
    from jsplit.sweeps.axes import random_axes

    axes: dict[str | tuple[str, ...], list[Any]] = {}
    ranges: dict[str, list[Any]] = {}
    seen: set[str] = set()
    for text in texts:
        left, equals, inside = (piece.strip() for piece in text.partition("="))
        names = tuple(piece.strip() for piece in left.split(","))
        if not equals or not all(names) or not inside:
            raise JsplitError(f"over must be NAME=VALUES, got {text!r}")
        for name in names:
            if name in seen:
                raise JsplitError(f"over must name every axis once, got {name} twice")
            seen.add(name)
        if len(names) > 1:
            axes[names] = [_point(names, piece) for piece in inside.split(",")]
        elif inside.startswith("~"):
            ranges[left] = _ends(left, inside)
        elif ":" in inside:
            axes[left] = _range(left, inside)
        else:
            axes[left] = [read_value(piece.strip()) for piece in inside.split(",")]
    if bool(ranges) != (draws is not None):
        raise JsplitError(
            "draws must say how many values axes such as alpha=~0.5:0.9 have, and "
            "belongs to them alone"
        )
    if draws is not None:
        checks.integer("draws", draws, 1, 10**6)
        axes.update(random_axes(ranges, draws, seed=seed))
    return axes


def _point(names: Sequence[str], text: str) -> tuple[Any, ...]:
    """Returns one value for every axis of those that vary together."""
    values = text.split("/")
    if len(values) != len(names):
        raise JsplitError(
            f"axes {', '.join(names)} must have {len(names)} values at every point, "
            f"such as {'/'.join(['0.5'] * len(names))}, got {text.strip()!r}"
        )
    return tuple(read_value(value.strip()) for value in values)


def _ends(name: str, inside: str) -> list[Any]:
    """Returns low, high and perhaps the scale of ~LOW:HIGH or ~LOW:HIGH:SCALE."""
    low, high, *scale = inside[1:].split(":") + [""] * (1 - inside.count(":"))
    ends = [read_value(low.strip()), read_value(high.strip())]
    if len(scale) > 1 or not all(isinstance(end, int | float) for end in ends):
        raise JsplitError(
            f"axis {name} must be ~LOW:HIGH or ~LOW:HIGH:log, such as ~0.5:0.9, got "
            f"{inside!r}"
        )
    return [*ends, *scale]


def _range(name: str, inside: str) -> list[float]:
    """Returns the values of LOW:HIGH:COUNT, or LOW:HIGH:COUNT:log."""
    low, high, count, *scale = inside.split(":") + [""] * (2 - inside.count(":"))
    if scale not in ([], ["log"]):
        raise JsplitError(
            f"axis {name} must be LOW:HIGH:COUNT or LOW:HIGH:COUNT:log, got {inside!r}"
        )
    try:
        ends, number = (float(low), float(high)), int(count)
    except ValueError:
        raise JsplitError(
            f"axis {name} must be LOW:HIGH:COUNT, such as 0.1:0.5:9, got {inside!r}"
        ) from None
    for end in ends:
        checks.number(f"end of axis {name}", end)
    checks.integer(f"count of axis {name}", number, 1, 10**6)
    if scale and min(ends) <= 0:
        raise JsplitError(
            f"axis {name} must lie above 0 to be log-spaced, got {inside}"
        )
    values = (np.geomspace if scale else np.linspace)(*ends, number)
    # Without the last digits of an addition: 0.3, not 0.30000000000000004.
    return [float(f"{value:.12g}") for value in values]
