"""What accuracy costs, policy by policy."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jsplit.report.figures.canvas import (
    MARKER_SIZE,
    covered,
    footnote,
    new_figure,
    save,
    title_of,
)
from jsplit.report.figures.looks import FAINT, Look, looks_of
from jsplit.report.figures.names import name_points
from jsplit.results.labelled import Labelled, expect
from jsplit.results.metrics import privileged_policies
from jsplit.results.tables import ExactValues, Summary
from jsplit.types import JsplitError


def cost_accuracy(
    table: Summary | ExactValues,
    path: str | os.PathLike[str] | None = None,
    *,
    behind: Summary | None = None,
) -> Figure:
    """Draws mean cost against accuracy, both with their intervals.

    Up and to the left is better. The baseline is a black star with dotted guide
    lines, a privileged policy is hollow, and every point carries its name.

    Args:
        table: from `jsplit.summarize` or `jsplit.exact_values`, which has no baseline.
        path: file to write, ending in .png, .pdf or .svg; None = none.
        behind: A second summary with the same policies, drawn lighter behind: usually
            of stream="bootstrap", whose wider intervals cover the test-set error.

    Returns:
        The figure.

    Raises:
        JsplitError: if `behind` lacks a policy or the file cannot be written.
    """
    expect("table", table, Summary, ExactValues)
    labels = table.policies
    baseline = table.baseline if isinstance(table, Summary) else None
    looks = looks_of(labels, privileged_policies(table.data), baseline)
    figure, axes = new_figure(title_of(table, "cost and accuracy"))
    note = f"Bars: {covered(table)}"
    if behind is not None:
        behind = expect("behind", behind, Summary)
        if missing := set(labels) - set(behind.policies):
            raise JsplitError(
                f"behind must hold every policy of table, lacks {sorted(missing)}"
            )
        note += f"\nLight bars: {covered(behind)}"
        _error_bars(axes, behind, looks, labels, width=4, alpha=0.3)
    _error_bars(axes, table, looks, labels, width=1.2)
    points = _points(table, labels)
    for point, look in zip(points, looks, strict=True):
        _marker(axes, point, look)
    axes.set_xlabel(f"cost per step ({table.attrs['cost_unit']})")
    axes.set_ylabel("accuracy (%)")
    axes.margins(0.12)
    footnote(figure, note)
    name_points(figure, axes, points, labels, looks)
    save(figure, path)
    return figure


def _points(table: Labelled, labels: Sequence[str]) -> np.ndarray:
    """Returns the means as [policies, 2]: cost, accuracy in percent."""
    mean = table["mean"].sel(policy=list(labels))
    cost, accuracy = mean.sel(metric="cost"), mean.sel(metric="accuracy")
    return np.stack([cost.values, 100 * accuracy.values], axis=-1)


def _error_bars(
    axes: Axes,
    table: Labelled,
    looks: Sequence[Look],
    labels: Sequence[str],
    *,
    width: float,
    alpha: float = 1,
) -> None:
    """Draws both intervals of every policy; unknown ones draw nothing."""
    chosen = {"policy": list(labels), "metric": ["cost", "accuracy"]}
    limits = [table[end].sel(chosen) for end in ("low", "high")]
    cost, accuracy = np.stack(
        [limit.transpose("metric", "policy").values for limit in limits], axis=-1
    )
    colours = [look.colour for look in looks]
    x, y = _points(table, labels).T
    style = {"colors": colours, "linewidth": width, "alpha": alpha, "zorder": 1}
    axes.hlines(y, *cost.T, **style)
    axes.vlines(x, *(100 * accuracy.T), **style)


def _marker(axes: Axes, point: np.ndarray, look: Look) -> None:
    """Draws the mean of one policy, the baseline's with guide lines."""
    x, y = point
    axes.plot(
        x,
        y,
        look.marker,
        color=look.colour,
        markerfacecolor="white" if look.is_hollow else look.colour,
        markeredgewidth=1.5 if look.is_hollow else 0.5,
        markersize=2 * MARKER_SIZE if look.is_baseline else MARKER_SIZE,
        zorder=2,
    )
    if look.is_baseline:
        guide = {"color": FAINT, "linewidth": 0.8, "linestyle": ":", "zorder": 0}
        axes.axvline(x, **guide)
        axes.axhline(y, **guide)
