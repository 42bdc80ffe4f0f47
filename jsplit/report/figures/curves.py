"""A metric of a sweep over one of its axes: a line per policy, with its band.

Here: one metric on one axes, several beside each other, a panel per family. Not here:
which cells are the best (`results.best`).
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jsplit import checks
from jsplit.report.figures.canvas import (
    FONT,
    SIZE,
    SMALL,
    canvas_of,
    dress,
    footnote,
    new_panels,
    save,
    write_note,
)
from jsplit.report.figures.looks import FAINT, INK
from jsplit.report.figures.names import name_ends
from jsplit.report.figures.sweeps import (
    covered_by,
    factor_of,
    looks_by_policy,
    named_policies,
    positions,
    title_of_sweep,
    titled,
)
from jsplit.results.labelled import expect
from jsplit.results.runs import Runs
from jsplit.results.settings import axes_of, axis_named, columns_of
from jsplit.types import JsplitError

MOST_LINES = 7  # of a family in one panel
LOG_FROM = 30  # the ratio of the ends from which on an axis is logarithmic


def sweep_curves(
    runs: Runs,
    axis: str,
    metric: str = "reward",
    *,
    best_in: str | None = None,
    policies: Sequence[str] | None = None,
    level: float = 0.95,
    axes: Axes | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Axes:
    """Draws a metric over the values of an axis, a line per policy.

    Of other axes every policy has its best values, at each value of this one anew. The
    bands allow for that choice. Of many policies the best and the baseline are named,
    the others are light grey lines.

    Args:
        runs: from `jsplit.sweep`.
        axis: what is on the horizontal axis.
        metric: what is on the vertical one.
        best_in: the metric in which values of other axes are the best; None = `metric`.
        policies: labels to name; None = the best and the baseline.
        level: probability that a band covers, at each value alone, in (0, 1).
        axes: where to draw; None = in a new figure.
        path: file to write, ending in .png, .pdf or .svg; None = none.

    Returns:
        The axes; `.figure` is their figure.

    Raises:
        JsplitError: if an argument names nothing, or the file cannot be written.
    """
    expect("runs", runs, Runs)
    subject = f"{metric.replace('_', ' ')} over {axis}"
    _check(runs, axis, metric, best_in, policies)
    figure, axes, is_new = canvas_of(axes, title_of_sweep(runs, subject))
    note = _draw(axes, runs, axis, metric, best_in, policies, level)
    write_note(axes, note, is_new=is_new)
    _name(figure, axes, make_room=is_new)
    save(figure, path)
    return axes


def sweep_panels(
    runs: Runs,
    axis: str,
    metrics: Sequence[str] = ("cost", "accuracy"),
    *,
    best_in: str = "reward",
    policies: Sequence[str] | None = None,
    level: float = 0.95,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draws several metrics over an axis beside each other, as the papers do.

    Args:
        runs: as for `sweep_curves`, and so are the other arguments.
        axis: see there.
        metrics: one panel each.
        best_in: see there.
        policies: see there.
        level: see there.
        path: see there.

    Returns:
        The figure.

    Raises:
        JsplitError: if an argument names nothing, or the file cannot be written.
    """
    expect("runs", runs, Runs)
    metrics = checks.entries("metrics", metrics)
    if not metrics:
        raise JsplitError("metrics must name at least one metric, got none")
    for metric in metrics:
        _check(runs, axis, metric, best_in, policies)
    if policies is None:
        table = runs.best(best_in, [axis])
        policies = named_policies(runs, table, best_in)
    width = SIZE[0] / 2 * max(len(metrics), 2) + 2.0
    figure, panels = new_panels(1, len(metrics), (width, SIZE[1] * 0.85))
    note = ""
    for panel, metric in zip(panels, metrics, strict=True):
        dress(panel, metric.replace("_", " "))
        note = _draw(panel, runs, axis, metric, best_in, policies, level)
    figure.suptitle(title_of_sweep(runs, f"over {axis}"), x=0.015, ha="left", color=INK)
    footnote(figure, note)
    _name(figure, panels[-1], make_room=True)
    figure.subplots_adjust(wspace=0.36, left=0.08, top=0.84)
    save(figure, path)
    return figure


def sweep_families(
    runs: Runs,
    axis: str,
    metric: str = "reward",
    *,
    families: Mapping[str, Sequence[str]] | None = None,
    best_in: str | None = None,
    level: float = 0.95,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draws a panel per family of policies: its lines in colour, all others in grey.

    Args:
        runs: as for `sweep_curves`, and so are the other arguments.
        axis: see there.
        metric: see there.
        families: labels of policies by the name of the family; None = as the library
            has them, and those that are alone together.
        best_in: see there.
        level: see there.
        path: see there.

    Returns:
        The figure.

    Raises:
        JsplitError: if an argument names nothing, or the file cannot be written.
    """
    expect("runs", runs, Runs)
    chosen = _families(runs) if families is None else families
    if not chosen:
        raise JsplitError("families must name at least one family, got none")
    for labels in chosen.values():
        _check(runs, axis, metric, best_in, labels)
    columns = min(3, len(chosen))
    lines = math.ceil(len(chosen) / columns)
    wide = max(len(label) for labels in chosen.values() for label in labels) > 18
    most = max(map(len, chosen.values()))
    names = 0.14 * (most if wide else math.ceil(most / 2)) + 0.6  # inches
    size = (3.2 * columns + 0.4, (2.0 + names) * lines + 1.4)
    figure, panels = new_panels(lines, columns, size)
    note = ""
    for panel, (name, labels) in zip(panels, chosen.items(), strict=False):
        dress(panel, name)
        note = _draw(panel, runs, axis, metric, best_in, labels, level)
        _list_names(panel, columns=1 if wide else 2)
    highest = max(panel.dataLim.y1 for panel in panels)
    lowest = min(panel.dataLim.y0 for panel in panels[: len(chosen)])
    room = 0.04 * (highest - lowest)
    for panel in panels[: len(chosen)]:
        panel.set_ylim(lowest - room, highest + room)
    for panel in panels[len(chosen) :]:
        panel.set_visible(False)
    title = title_of_sweep(runs, f"{metric.replace('_', ' ')} over {axis}")
    figure.suptitle(title, x=0.015, ha="left", color=INK)
    footnote(figure, note)
    figure.subplots_adjust(
        hspace=names / 2.0,
        wspace=0.3,
        top=1 - 0.9 / size[1],
        bottom=(names + 0.4) / size[1],
        left=0.7 / size[0],
    )
    save(figure, path)
    return figure


def _check(
    runs: Runs,
    axis: str,
    metric: str,
    best_in: str | None,
    policies: Sequence[str] | None,
) -> None:
    axis_named(runs.data, "axis", axis)
    known = runs["metric"].values.astype(str)
    checks.choice("metric", metric, known)
    if best_in is not None:
        checks.choice("best_in", best_in, known)
    for label in [] if policies is None else checks.entries("policies", policies):
        checks.choice("policies", label, runs.policies)


def _draw(
    axes: Axes,
    runs: Runs,
    axis: str,
    metric: str,
    best_in: str | None,
    policies: Sequence[str] | None,
    level: float,
) -> str:
    """Draws the lines and returns what the note says."""
    chosen = metric if best_in is None else best_in
    dimension = axis_named(runs.data, "axis", axis)
    table: Any = runs.best(chosen, [axis], level=level, show=metric)
    if len(table) < len(runs.policies) * runs.data.sizes[dimension]:
        raise JsplitError(
            f"runs must have a cell of every policy at every value of {axis}, got "
            f"{table.attrs['num_missing']} missing: merge its shards first"
        )
    if policies is None:
        policies = named_policies(runs, table, metric)
    looks = looks_by_policy(runs)
    (column, *_) = [axis] if axis in table else columns_of(runs.data, dimension)
    values = runs[column].values
    x, is_number = positions(values)
    order = np.argsort(x)
    factor = factor_of(metric)
    heights = []
    for label in sorted(runs.policies, key=lambda one: one in policies):
        rows = table[table["policy"] == label]
        mean, low, high = (
            factor * rows[name].to_numpy()[order] for name in ("mean", "low", "high")
        )
        look = looks[label]
        if label not in policies:
            axes.plot(x[order], mean, color=FAINT, linewidth=0.6, zorder=1)
            continue
        heights.append(mean)
        axes.fill_between(
            x[order], low, high, color=look.colour, alpha=0.2, linewidth=0, zorder=2
        )
        axes.plot(
            x[order],
            mean,
            color=look.colour,
            linestyle=look.line,
            marker=look.marker,
            markerfacecolor="white" if look.is_hollow else look.colour,
            markersize=7 if look.is_baseline else 4,
            linewidth=1.4,
            label=label,
            zorder=3,
        )
    axes.margins(x=0.02)
    _look_at(axes, np.array(heights))
    if not is_number:
        axes.set_xticks(x, [str(value) for value in values])
    elif x.min() > 0 and x.max() / x.min() >= LOG_FROM:
        axes.set_xscale("log")
    axes.set_xlabel(axis, fontsize=FONT, color=INK)
    axes.set_ylabel(titled(runs, metric), fontsize=FONT, color=INK)
    note = f"Bands: {covered_by(runs, level)}; pointwise"
    others = [name for name in axes_of(runs.data) if name != dimension]
    if others:
        note += (
            f", and allowing for the choice of the best {', '.join(others)} in "
            f"{chosen.replace('_', ' ')} at each value"
        )
    if len(policies) < len(runs.policies):
        note += ". Grey: all other policies"
    return f"{note}."


def _look_at(axes: Axes, heights: np.ndarray) -> None:
    """Cuts off what grey lines take up far from those that are named, [lines, x]."""
    if not heights.size or not np.ptp(heights):
        return
    low, high = axes.get_ylim()
    reach = 1.5 * np.ptp(heights)
    axes.set_ylim(max(low, heights.min() - reach), min(high, heights.max() + reach))


def _name(figure: Figure, axes: Axes, *, make_room: bool) -> None:
    """Writes the names of the lines that have one at their ends."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    ends = np.array([np.asarray(line.get_ydata(), float)[-1] for line in lines])
    labels = [str(line.get_label()) for line in lines]
    colours = [str(line.get_color()) for line in lines]
    if lines:
        last = float(np.asarray(lines[0].get_xdata(), float)[-1])
        name_ends(figure, axes, last, ends, labels, colours, make_room=make_room)


def _list_names(axes: Axes, *, columns: int) -> None:
    """Lists the lines of a panel below it, where they cover nothing."""
    axes.set_xlabel("")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.1),
        ncols=columns,
        fontsize=SMALL - 1.5,
        frameon=False,
        columnspacing=0.8,
        handlelength=1.8,
        labelspacing=0.2,
    )


def _families(runs: Runs) -> dict[str, list[str]]:
    """Returns labels by the family that the sweep tells, loners together."""
    told = json.loads(runs.attrs.get("families", "{}"))
    found: dict[str, list[str]] = {}
    for label in runs.policies:
        family = told.get(label, label.partition("(")[0])
        found.setdefault(family, []).append(label)
    alone = [label for group in found.values() if len(group) == 1 for label in group]
    families = {name: group for name, group in found.items() if len(group) > 1}
    if alone:
        families["others"] = alone
    return {
        f"{name} {first // MOST_LINES + 1}" if first else name: group[
            first : first + MOST_LINES
        ]
        for name, group in families.items()
        for first in range(0, len(group), MOST_LINES)
    }
