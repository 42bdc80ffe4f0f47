"""How regret grows, policy by policy."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jsplit import checks, stats
from jsplit.report.cells import percent
from jsplit.report.figures.canvas import footnote, new_figure, save, title_of
from jsplit.report.figures.looks import Look, looks_of
from jsplit.report.figures.names import name_ends
from jsplit.results.curves import BANDS, Bands, Regret
from jsplit.results.labelled import expect
from jsplit.results.metrics import privileged_policies
from jsplit.results.result import Result

REGRETS = {"pseudo_regret": "pseudo-regret", "realised_regret": "realised regret"}


def regret_curves(
    result: Result,
    path: str | os.PathLike[str] | None = None,
    *,
    which: Regret = "pseudo_regret",
    level: float = 0.95,
    policies: Sequence[str] | None = None,
    bands: Bands = "pointwise",
) -> Figure:
    """Draws the mean cumulative regret against steps, with bands.

    Both axes are logarithmic: a policy that never learns is a line of slope 1, one
    that learns bends away from it. In a scenario, where regret is dynamic and grows
    with every change, both are linear. A policy whose regret is not above zero at the
    last step (the best fixed plan, an oracle) has no place on such an axis and is
    named below instead.

    Args:
        result: from `jsplit.evaluate`.
        path: file to write, ending in .png, .pdf or .svg; None = none.
        which: "pseudo_regret" or "realised_regret".
        level: probability that a band covers, in (0, 1).
        policies: labels to draw; None = all.
        bands: "pointwise" bands hold at each checkpoint taken alone; "simultaneous"
            ones, wider, hold for the whole of one curve.

    Returns:
        The figure; the curves' names stand at their ends, the largest on top.

    Raises:
        JsplitError: if a regret, band, policy or level is unknown, or if the file
            cannot be written.
    """
    checks.choice("which", which, REGRETS)
    checks.choice("bands", bands, BANDS)
    known = expect("result", result, Result).policies
    labels = known if policies is None else list(policies)
    for label in labels:
        checks.choice("policies", label, known)
    looks = dict(
        zip(known, looks_of(known, privileged_policies(result.data)), strict=True)
    )
    level = checks.number("level", level, 0.0, 1.0)
    band = result.regret_band(which, level=level, bands=bands)
    rows = [known.index(label) for label in labels]
    curves = stats.Interval(*(part[rows] for part in band))
    is_drawn = curves.mean[:, -1] > 0
    drawn = [label for label, yes in zip(labels, is_drawn, strict=True) if yes]
    absent = [label for label in labels if label not in drawn]

    steps = result["checkpoint"].values
    figure, axes = new_figure(title_of(result, REGRETS[which]))
    axes.margins(x=0.02)
    if "drift" not in result.attrs:
        axes.set_xscale("log")
        axes.set_yscale("log")
    colours = [looks[label].colour for label in drawn]
    for row, label in zip(np.flatnonzero(is_drawn), drawn, strict=True):
        curve = stats.Interval(*(part[row] for part in curves))
        _curve(axes, steps, curve, looks[label])
    axes.set_xlabel("steps")
    dynamic = "dynamic " if "drift" in result.attrs else ""
    axes.set_ylabel(f"cumulative {dynamic}{REGRETS[which]}")
    note = f"Bands: {bands} {percent(level)}, {result.attrs['covers']}."
    if absent:
        note += f"\nNot above zero at the last step: {', '.join(absent)}."
    footnote(figure, note)
    if drawn:
        name_ends(figure, axes, steps[-1], curves.mean[is_drawn, -1], drawn, colours)
    save(figure, path)
    return figure


def _curve(axes: Axes, steps: np.ndarray, curve: stats.Interval, look: Look) -> None:
    """Draws a mean [checkpoints] and its band where they are above zero."""
    above = curve.mean > 0
    # A band that reaches zero has no lower end here: stop a decade below the curve.
    low = np.maximum(curve.low, curve.mean / 10)
    axes.fill_between(
        steps[above],
        low[above],
        curve.high[above],
        color=look.colour,
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(
        steps[above],
        curve.mean[above],
        linestyle=look.line,
        color=look.colour,
        linewidth=1.6,
    )
