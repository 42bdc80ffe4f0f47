"""The front of a sweep: what each cost buys at most, over all settings."""

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jsplit.report.figures.canvas import (
    FONT,
    MARKER_SIZE,
    canvas_of,
    save,
    write_note,
)
from jsplit.report.figures.looks import FAINT, INK
from jsplit.report.figures.names import name_points
from jsplit.report.figures.sweeps import (
    NAMED,
    covered_by,
    factor_of,
    looks_by_policy,
    title_of_sweep,
    titled,
)
from jsplit.results.labelled import expect
from jsplit.results.runs import Runs


def sweep_front(
    runs: Runs,
    cost: str = "cost",
    value: str = "accuracy",
    *,
    level: float = 0.95,
    axes: Axes | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Axes:
    """Draws all settings by cost and value, and the front that they make.

    Up and to the left is better. Settings that are surely dominated are light grey
    dots; those that may belong to the front have the colour of their policy. A line
    joins the front of the means, whose points have bars. What is far below is left out
    of the picture, and the note says how much that is. The policies that are most often
    on the front are named once, and the baseline always, as a black star.

    Args:
        runs: from `jsplit.sweep`.
        cost: see `Runs.front`.
        value: see there.
        level: see there.
        axes: where to draw; None = in a new figure.
        path: file to write, ending in .png, .pdf or .svg; None = none.

    Returns:
        The axes.

    Raises:
        JsplitError: if an argument names nothing, or the file cannot be written.
    """
    expect("runs", runs, Runs)
    table: Any = runs.front(cost, value, level=level)
    subject = f"{value.replace('_', ' ')} and {cost.replace('_', ' ')} of all settings"
    figure, axes, is_new = canvas_of(axes, title_of_sweep(runs, subject))
    looks = looks_by_policy(runs)
    baseline = str(runs.attrs["baseline"])
    for metric in (cost, value):
        for name in (metric, f"{metric}_low", f"{metric}_high"):
            table[name] = factor_of(metric) * table[name]
    grey, bright = table[table["dominated"]], table[~table["dominated"]]
    axes.plot(grey[cost], grey[value], ".", color=FAINT, markersize=3, zorder=1)
    for label in bright["policy"].unique():
        look = looks[label]
        of_policy = bright[bright["policy"] == label]
        is_on = of_policy["on_front"]
        here, rest = of_policy[is_on], of_policy[~is_on]
        style = {"color": look.colour, "linewidth": 0.8, "zorder": 2}
        x, y = here[cost], here[value]
        axes.hlines(y, here[f"{cost}_low"], here[f"{cost}_high"], **style)
        axes.vlines(x, here[f"{value}_low"], here[f"{value}_high"], **style)
        axes.plot(
            rest[cost], rest[value], ".", color=look.colour, alpha=0.35, markersize=4
        )
        axes.plot(
            x, y, look.marker, color=look.colour, markersize=MARKER_SIZE, zorder=3
        )
    front = table[table["on_front"]].sort_values(cost)
    axes.plot(
        front[cost], front[value], color=INK, linewidth=0.8, drawstyle="steps-post"
    )
    of_baseline = table[table["policy"] == baseline].sort_values(cost)
    points, labels = [], []
    if len(of_baseline):
        x, y = of_baseline[cost].iloc[0], of_baseline[value].iloc[0]
        axes.plot(x, y, "*", color="black", markersize=2 * MARKER_SIZE, zorder=4)
        points, labels = [(x, y)], [baseline]
    counts = front["policy"].value_counts()
    for label in counts.index[:NAMED]:
        if label == baseline:
            continue
        of_policy = front[front["policy"] == label]
        middle = of_policy.iloc[len(of_policy) // 2]
        points.append((middle[cost], middle[value]))
        labels.append(str(label))
    axes.set_xlabel(titled(runs, cost), fontsize=FONT, color=INK)
    axes.set_ylabel(titled(runs, value), fontsize=FONT, color=INK)
    limits = np.array([*bright[value], *of_baseline[value]], float)
    room = 0.15 * (np.ptp(limits) or 1.0)
    bottom, top = limits.min() - room, limits.max() + room
    axes.set_ylim(bottom, max(top, front[f"{value}_high"].max()))
    axes.margins(x=0.08)
    below = int((grey[value] < bottom).sum())
    note = (
        f"{len(table):,} settings: {len(grey):,} surely dominated (grey), "
        f"{len(front):,} on the front of the means (line), {len(bright):,} that may "
        f"belong to it (colour). Bars hold for all settings at once: "
        f"{covered_by(runs, level)}."
    )
    if below:
        note += f" {below:,} settings lie below the picture."
    write_note(axes, note, is_new=is_new)
    if points:
        chosen = [looks[label] for label in labels]
        name_points(figure, axes, np.array(points, float), labels, chosen)
    save(figure, path)
    return axes
