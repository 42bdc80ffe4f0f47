"""Numbers as text: decimals, intervals, marks and the sentences that explain them.

Here: what all tables share. Not here: which numbers stand where (`tables`,
`conditions` and the rest)
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jsplit.results.labelled import Labelled

EXACT = "(exact)"
UNKNOWN = "[?]"
NONE = "–"
DAGGER = "†"
STAR = "*"
SIGNIFICANT_DIGITS = 5


class Cell(NamedTuple):
    """One entry as text: a value and, where it has one, its interval."""

    value: str
    interval: str = ""


class Row(NamedTuple):
    """One policy: its name, how it is marked, and its cells after the name."""

    policy: str
    is_baseline: bool
    is_privileged: bool
    cells: list[Cell]  # in the order of `headers`, without the policy


class Estimates(NamedTuple):
    """A column of numbers before rounding; all [rows] float."""

    mean: np.ndarray  # NaN = no number
    low: np.ndarray  # NaN = unknown
    high: np.ndarray  # NaN = unknown


def estimates(
    table: Labelled, metric: str, prefix: str = "", factor: float = 1.0
) -> Estimates:
    """Reads the mean (or, with a prefix, the difference) of a metric and its limits."""
    names = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else Estimates._fields
    rows = table.data.sel(metric=metric)
    return Estimates(*(factor * rows[name].values.ravel() for name in names))


def column_of(
    column: Estimates,
    decimals: int | None = None,
    *,
    sign: str = "",
    show_interval: bool = True,
) -> list[Cell]:
    """Rounds a column; `sign` is "+" for differences."""
    if decimals is None:
        decimals = decimals_of(column)

    def text(number: float) -> str:
        # Adding 0.0 turns the -0.0 that rounding may leave into 0.0.
        rounded = round(number, decimals) + 0.0
        return format(rounded, f"{sign if rounded else ''}.{decimals}f")

    cells = []
    for mean, low, high in zip(*(part.tolist() for part in column), strict=True):
        if math.isnan(mean):
            cells.append(Cell(NONE))
        elif not show_interval:
            cells.append(Cell(text(mean)))
        elif math.isnan(low) or math.isnan(high):
            cells.append(Cell(text(mean), UNKNOWN))
        elif low == high:
            cells.append(Cell(text(mean), EXACT))
        else:
            cells.append(Cell(text(mean), f"[{text(low)}, {text(high)}]"))
    return cells


def decimals_of(column: Estimates) -> int:
    """Chooses the decimals of a column by its typical interval and typical value."""
    most = SIGNIFICANT_DIGITS - 1 - _exponent(_typical(np.abs(column.mean)))
    half_width = _typical((column.high - column.low) / 2)
    wanted = most if math.isnan(half_width) else 1 - _exponent(half_width)
    return max(0, min(wanted, most))


def opening(attrs: Mapping[str, Any]) -> list[str]:
    """Returns the sentences that say what was run and what the intervals cover."""
    sentences = [
        f"{attrs['dataset']}: {replicas(attrs['num_replicas'])} of "
        f"{attrs['horizon']} steps, stream {attrs['stream']}, protocol "
        f"{attrs['protocol']}.",
        f"[low, high]: {percent(attrs['level'])} intervals. What they cover: "
        f"{attrs['covers']}.",
    ]
    if "drift" in attrs:
        names = ", ".join(json.loads(attrs["conditions"]))
        sentences.insert(1, f"Conditions {names}, drift {attrs['drift']}.")
    return sentences


def rewards(attrs: Mapping[str, Any]) -> str:
    """Returns the phrase that says what the two rewards are."""
    if attrs.get("rewarded_by") == "accuracy":
        return (
            "the trace has no confidences, so reward is by the truth, accuracy minus "
            "mu times cost, as true reward is"
        )
    return (
        "reward is confidence minus mu times cost, true reward has accuracy instead of "
        "confidence"
    )


def footnotes(
    rows: Sequence[Row], level: float, exact: str = "the same in every replica"
) -> list[str]:
    """Returns the sentences that explain the marks in these rows.

    Args:
        rows: of the table.
        level: of its intervals.
        exact: what an interval of width zero means.
    """
    shown = [cell for row in rows for cell in row.cells]
    sentences = []
    if any(cell.interval == EXACT for cell in shown):
        sentences.append(f"{EXACT}: {exact}.")
    if any(cell.interval == UNKNOWN for cell in shown):
        sentences.append(f"{UNKNOWN}: these replicas cannot tell its error.")
    if any(cell.value.endswith(STAR) for cell in shown):
        sentences.append(
            f"{STAR}: cannot be told from the best of all at {percent(level)}, all "
            "pairs compared at once."
        )
    if any(row.is_privileged for row in rows):
        sentences.append(
            f"{DAGGER} uses what no policy can know; a bound, not a competitor."
        )
    return sentences


def _typical(sizes: np.ndarray) -> float:
    """Returns the median of the finite sizes above zero, NaN where there is none."""
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    return float(np.median(sizes)) if sizes.size else math.nan


def _exponent(size: float) -> int:
    """Returns the power of ten of the first digit; 0 where there is no size."""
    return 0 if math.isnan(size) else math.floor(math.log10(size))


def replicas(count: int) -> str:
    """Returns a number of replicas as text, 1 as "1 replica"."""
    return f"{count} replica{'s' * (count != 1)}"


def percent(level: float) -> str:
    """Returns a level as text, 0.95 as "95 %"."""
    return f"{100 * level:g} %"
