"""Two axes of a sweep as a map: which policy is the best where."""

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle

from jsplit import checks
from jsplit.report.figures.canvas import (
    FONT,
    SMALL,
    canvas_of,
    save,
    write_note,
)
from jsplit.report.figures.looks import INK
from jsplit.report.figures.sweeps import (
    covered_by,
    factor_of,
    looks_by_policy,
    title_of_sweep,
    titled,
)
from jsplit.results.labelled import expect
from jsplit.results.runs import Runs
from jsplit.results.settings import axis_named, columns_of
from jsplit.types import JsplitError

HATCHES = ("", "////", "....")  # of policies that have a colour in common
PALE = 0.4  # share of a colour that is left where the best cannot be told
MOST_NUMBERS = 130  # cells up to which each shows its value


def sweep_map(
    runs: Runs,
    x: str,
    y: str,
    metric: str = "reward",
    *,
    level: float = 0.95,
    axes: Axes | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Axes:
    """Draws which policy is the best at all values of two axes, and how good it is.

    Colours are the policies', as in other figures; pale ones mean that another policy
    cannot be told from the best. Of further axes every policy has its best values.
    Privileged policies are left out.

    Args:
        runs: from `jsplit.sweep`.
        x: the horizontal axis.
        y: the vertical one.
        metric: what is best.
        level: of the comparison, in (0, 1).
        axes: where to draw; None = in a new figure.
        path: file to write, ending in .png, .pdf or .svg; None = none.

    Returns:
        The axes; the names of the policies stand to the right of them.

    Raises:
        JsplitError: if an argument names nothing, or the file cannot be written.
    """
    expect("runs", runs, Runs)
    names = [_axis(runs, "x", x), _axis(runs, "y", y)]
    if names[0] == names[1]:
        raise JsplitError(f"y must be another axis than x, got {y} twice")
    checks.choice("metric", metric, runs["metric"].values.astype(str))
    best: Any = runs.best(metric, [x, y], level=level, per_policy=False)
    rivals: Any = runs.best_set(metric, [x, y], level=level, per_policy=False)
    is_clear = (rivals.groupby([x, y])["policy"].nunique() == 1).to_dict()
    subject = f"the best policy by {metric.replace('_', ' ')}"
    figure, axes, is_new = canvas_of(axes, title_of_sweep(runs, subject))
    across, up = (runs[name].values.tolist() for name in (x, y))
    cells = [(row[x], row[y], row["policy"], row["mean"]) for _, row in best.iterrows()]
    looks = looks_by_policy(runs)
    factor = factor_of(metric)
    show_numbers = len(cells) <= MOST_NUMBERS
    shown = [label for label in runs.policies if label in {one[2] for one in cells}]
    hatches = _hatches([looks[label].colour for label in shown])
    hatch_of = dict(zip(shown, hatches, strict=True))
    for at_x, at_y, policy, mean in cells:
        place = across.index(at_x), up.index(at_y)
        clear = is_clear[at_x, at_y]
        colour = _shade(looks[policy].colour, 1.0 if clear else PALE)
        _tile(axes, place, colour, hatch_of[policy])
        if show_numbers:
            is_dark = np.dot(colour, (0.3, 0.59, 0.11)) < 0.5
            axes.text(
                *place,
                f"{factor * mean:.3g}",
                ha="center",
                va="center",
                fontsize=SMALL - 1 if len(across) > 8 else SMALL,
                color="white" if is_dark else INK,
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
            )
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(-0.5, len(up) - 0.5)
    _ticks(axes.xaxis, across)
    _ticks(axes.yaxis, up)
    axes.tick_params(length=0)
    axes.set_xlabel(x, fontsize=FONT, color=INK)
    axes.set_ylabel(y, fontsize=FONT, color=INK)
    axes.legend(
        handles=[
            Patch(
                facecolor=looks[label].colour,
                edgecolor="white",
                hatch=hatch_of[label],
                label=label,
            )
            for label in shown
        ],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        fontsize=SMALL,
        frameon=False,
    )
    note = "Pale: another policy cannot be told from the best"
    note += f" ({covered_by(runs, level)})."
    if show_numbers:
        note += f" Numbers: its {titled(runs, metric)}."
    write_note(axes, note, is_new=is_new)
    if is_new:
        longest = max(map(len, shown))
        figure.subplots_adjust(right=0.93 - 0.0092 * max(longest, 8))
    save(figure, path)
    return axes


def _axis(runs: Runs, argument: str, name: str) -> str:
    """Returns the dimension of an axis whose values each have a row or column."""
    found = axis_named(runs.data, argument, name)
    own = columns_of(runs.data, found)
    if name not in own:
        raise JsplitError(
            f"{argument} must be one axis, {' or '.join(own)}, got {name}, where they "
            "vary together"
        )
    values = runs[name].values.tolist()
    if len(set(values)) < len(values):
        raise JsplitError(
            f"{argument} must be an axis of different values, got {name}, which varies "
            f"with {found} and has {checks.shown(values)}"
        )
    return found


def _hatches(colours: list[str]) -> list[str]:
    """Returns a hatch for each colour: none where it comes first."""
    seen = [colours[:i].count(colour) for i, colour in enumerate(colours)]
    return [HATCHES[turn % len(HATCHES)] for turn in seen]


def _shade(colour: str, share: float) -> tuple[float, ...]:
    """Returns a colour mixed with white."""
    return tuple(share * part + 1 - share for part in to_rgb(colour))


def _tile(
    axes: Axes, place: tuple[int, int], colour: tuple[float, ...], hatch: str
) -> None:
    corner = (place[0] - 0.5, place[1] - 0.5)
    style: Any = {"facecolor": colour, "edgecolor": "white", "linewidth": 0.5}
    axes.add_patch(Rectangle(corner, 1, 1, hatch=hatch, **style))


def _ticks(axis: Any, values: list[Any]) -> None:
    """Labels every value, or every n-th where there are many."""
    step = -(-len(values) // 10)
    places = range(0, len(values), step)
    axis.set_ticks(list(places), [f"{values[i]}" for i in places])
