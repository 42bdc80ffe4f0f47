"""Figures of an evaluation: what accuracy costs, and how regret grows.

Here: everything that imports matplotlib. Only Figure objects are made, never the
global state of pyplot, so figures work without a display and inside programs that
plot for themselves. Not here: the statistics (`stats`).
"""

import os
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from jsplit import checks, stats
from jsplit.report.cells import percent
from jsplit.report.cells import replicas as count_replicas
from jsplit.report.placing import box, free_place
from jsplit.results.curves import BANDS, Bands, Regret
from jsplit.results.labelled import Labelled, expect
from jsplit.results.metrics import privileged_policies
from jsplit.results.result import Result
from jsplit.results.tables import ExactValues, Summary
from jsplit.types import JsplitError
from jsplit.writing import replacing

# Okabe and Ito (2008) without yellow, which vanishes on white, and without black,
# which is the baseline's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "v", "P", "X")
LINES = ("solid", (0, (5, 1.5)), (0, (1, 1.2)))
INK = "#333333"
FAINT = "#BBBBBB"
SUFFIXES = (".png", ".pdf", ".svg")
REGRETS = {"pseudo_regret": "pseudo-regret", "realised_regret": "realised regret"}

SIZE = (7.2, 5.0)  # inches
DPI = 150  # 1080 pixels, the width of a README column on a dense screen
FONT, SMALL = 10, 8  # points
POINT = DPI / 72  # pixels
MARKER_SIZE = 6.5  # points
NOTE_WIDTH = 112  # characters of SMALL in one line
LINE_FROM = 9  # points from which on a name needs a line to its point


class Look(NamedTuple):
    """How one policy is drawn, the same in every figure of an evaluation."""

    colour: str
    marker: str
    line: Any  # a line style of matplotlib
    is_baseline: bool
    is_hollow: bool


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
    looks = _looks(labels, privileged_policies(table.data), baseline)
    figure, axes = _new_figure(_title(table, "cost and accuracy"))
    note = f"Bars: {_covered(table)}"
    if behind is not None:
        behind = expect("behind", behind, Summary)
        if missing := set(labels) - set(behind.policies):
            raise JsplitError(
                f"behind must hold every policy of table, lacks {sorted(missing)}"
            )
        note += f"\nLight bars: {_covered(behind)}"
        _error_bars(axes, behind, looks, labels, width=4, alpha=0.3)
    _error_bars(axes, table, looks, labels, width=1.2)
    points = _points(table, labels)
    for point, look in zip(points, looks, strict=True):
        _marker(axes, point, look)
    axes.set_xlabel(f"cost per step ({table.attrs['cost_unit']})")
    axes.set_ylabel("accuracy (%)")
    axes.margins(0.12)
    _footnote(figure, note)
    _name_points(figure, axes, points, labels, looks)
    _save(figure, path)
    return figure


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
        zip(known, _looks(known, privileged_policies(result.data)), strict=True)
    )
    level = checks.number("level", level, 0.0, 1.0)
    band = result.regret_band(which, level=level, bands=bands)
    rows = [known.index(label) for label in labels]
    curves = stats.Interval(*(part[rows] for part in band))
    is_drawn = curves.mean[:, -1] > 0
    drawn = [label for label, yes in zip(labels, is_drawn, strict=True) if yes]
    absent = [label for label in labels if label not in drawn]

    steps = result["checkpoint"].values
    figure, axes = _new_figure(_title(result, REGRETS[which]))
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
    _footnote(figure, note)
    if drawn:
        _name_ends(figure, axes, steps[-1], curves.mean[is_drawn, -1], drawn, colours)
    _save(figure, path)
    return figure


def _new_figure(title: str) -> tuple[Figure, Axes]:
    """Makes a figure with one plain axes and a canvas that can measure text."""
    figure = Figure(figsize=SIZE, dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=FONT + 1, color=INK, loc="left", pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT, colors=INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=FONT, color=INK)
    return figure, axes


def _footnote(figure: Figure, note: str) -> None:
    """Writes a note below the axes, wrapped, and makes room for it."""
    lines = [
        part for line in note.split("\n") for part in textwrap.wrap(line, NOTE_WIDTH)
    ]
    figure.text(
        0.015, 0.02, "\n".join(lines), fontsize=SMALL, color=INK, linespacing=1.4
    )
    note_height = len(lines) * 1.4 * SMALL + 4.8 * FONT
    figure.subplots_adjust(
        left=0.11, right=0.97, top=0.92, bottom=note_height / (72 * SIZE[1])
    )


def _title(labelled: Labelled, subject: str) -> str:
    """Names the data set, the subject, the stream and the number of replicas."""
    attrs = labelled.attrs
    if "stream" not in attrs:
        return f"{attrs['dataset']}: {subject} (exact)"
    replicas = count_replicas(attrs["num_replicas"])
    return f"{attrs['dataset']}: {subject} ({attrs['stream']} stream, {replicas})"


def _covered(table: Labelled) -> str:
    """Says the level and the coverage of a summary's intervals."""
    return f"{percent(table.attrs['level'])}, {table.attrs['covers']}."


def _looks(
    labels: Sequence[str], privileged: set[str], baseline: str | None = None
) -> list[Look]:
    """Gives every policy a colour, a marker and a line; 18 differ in each figure."""
    looks = []
    for index, label in enumerate(labels):
        is_baseline, is_hollow = label == baseline, label in privileged
        turn, place = divmod(index, len(COLOURS))
        # After a full turn of the colours the markers move on by one.
        marker = MARKERS[(place + turn) % len(MARKERS)]
        looks.append(
            Look(
                colour="black" if is_baseline else COLOURS[place],
                marker="*" if is_baseline else "D" if is_hollow else marker,
                line=LINES[turn % len(LINES)],
                is_baseline=is_baseline,
                is_hollow=is_hollow,
            )
        )
    return looks


def _dark(colour: str) -> tuple[float, ...]:
    """Returns a colour dark enough for small text on white."""
    return tuple(0.7 * part for part in to_rgb(colour))


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


def _name_points(
    figure: Figure,
    axes: Axes,
    points: np.ndarray,
    labels: Sequence[str],
    looks: Sequence[Look],
) -> None:
    """Writes the names next to their points, away from one another and from bars.

    Names are placed one after the other where they cover least; far ones get a line.
    """
    figure.draw_without_rendering()  # fixes the limits, on which pixels depend
    centres = axes.transData.transform(points)
    frame = np.array([axes.bbox.min, axes.bbox.max])
    obstacles = _obstacles(axes, centres, frame, looks)
    for point, centre, label, look in zip(points, centres, labels, looks, strict=True):
        name = axes.annotate(
            label,
            tuple(point),
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=FONT - 1,
            fontweight="bold" if look.is_baseline else "normal",
            color=_dark(look.colour),
            path_effects=[withStroke(linewidth=2, foreground="white")],
            arrowprops={
                "arrowstyle": "-",
                "color": look.colour,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": MARKER_SIZE / 2,
            },
            zorder=3,
        )
        size = np.array(name.get_window_extent().size)
        middle, distance = free_place(
            centre, size, obstacles, frame, pixels_per_point=POINT
        )
        name.set_position(tuple((middle - centre) / POINT))
        if name.arrow_patch is not None:
            name.arrow_patch.set_visible(distance > LINE_FROM)
        obstacles = np.concatenate([obstacles, [box(middle, size)]])


def _obstacles(
    axes: Axes, centres: np.ndarray, frame: np.ndarray, looks: Sequence[Look]
) -> np.ndarray:
    """Returns what a name should not cover as boxes [boxes, 2, 2] in pixels."""
    markers = [box(centre, MARKER_SIZE * POINT) for centre in centres]
    bars = []
    for bundle in axes.collections:
        thickness = np.ravel(bundle.get_linewidth())[0] * POINT
        for path in bundle.get_paths():
            ends = axes.transData.transform(path.vertices)
            bars.append(ends + np.array([[-1], [1]]) * thickness / 2)
    guides = []
    for (x, y), look in zip(centres, looks, strict=True):
        if look.is_baseline:
            (left, bottom), (right, top) = frame
            guides += [[[left, y - 1], [right, y + 1]], [[x - 1, bottom], [x + 1, top]]]
    boxes = np.array([*markers, *bars, *guides])
    return boxes[np.isfinite(boxes).all((1, 2))]


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


def _name_ends(
    figure: Figure,
    axes: Axes,
    last: float,
    ends: np.ndarray,
    labels: Sequence[str],
    colours: Sequence[str],
) -> None:
    """Writes names right of the curves in the order of their ends, without overlap."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(ends, kind="stable")
    figure.draw_without_rendering()  # fixes the limits, on which pixels depend
    to_pixels = axes.transData
    heights = to_pixels.transform([(last, end) for end in ends[order]])[:, 1]
    # The places nearest to the ends that keep one line of text between neighbours.
    gaps = 1.25 * FONT * POINT * np.arange(len(order))
    heights = isotonic_regression(heights - gaps).x + gaps
    values = to_pixels.inverted().transform([(0, height) for height in heights])[:, 1]
    widest = 0.0
    for index, value in zip(map(int, order), values, strict=True):
        name = axes.annotate(
            labels[index],
            (last, ends[index]),
            (1.03, value),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=FONT - 1,
            color=_dark(colours[index]),
            arrowprops={
                "arrowstyle": "-",
                "color": colours[index],
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )
        widest = max(widest, name.get_window_extent().width)
    figure_width = SIZE[0] * DPI
    figure.subplots_adjust(right=1 - (widest + 0.05 * figure_width) / figure_width)


def _save(figure: Figure, path: str | os.PathLike[str] | None) -> None:
    """Writes a figure in the format of its file's ending."""
    if path is None:
        return
    target = checks.path("path", path)
    if target.suffix.lower() not in SUFFIXES:
        raise JsplitError(
            f"path of a figure must end in {', '.join(SUFFIXES)}, got {target}"
        )
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=DPI)
