"""Names beside what is drawn, so that no legend covers any of it.

Here: beside points and at the ends of curves. Not here: where there is room
(`report.placing`).
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from jsplit.report.figures.canvas import FONT, MARKER_SIZE
from jsplit.report.figures.looks import Look, dark
from jsplit.report.placing import box, free_place

LINE_FROM = 9  # points from which on a name needs a line to its point


def name_points(
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
    point_size = figure.dpi / 72  # pixels
    centres = axes.transData.transform(points)
    frame = np.array([axes.bbox.min, axes.bbox.max])
    obstacles = _obstacles(figure, axes, centres, frame, looks)
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
            color=dark(look.colour),
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
            centre, size, obstacles, frame, pixels_per_point=point_size
        )
        name.set_position(tuple((middle - centre) / point_size))
        if name.arrow_patch is not None:
            name.arrow_patch.set_visible(distance > LINE_FROM)
        obstacles = np.concatenate([obstacles, [box(middle, size)]])


def _obstacles(
    figure: Figure,
    axes: Axes,
    centres: np.ndarray,
    frame: np.ndarray,
    looks: Sequence[Look],
) -> np.ndarray:
    """Returns what a name should not cover as boxes [boxes, 2, 2] in pixels."""
    point_size = figure.dpi / 72
    markers = [box(centre, MARKER_SIZE * point_size) for centre in centres]
    bars = []
    for bundle in axes.collections:
        thickness = np.ravel(bundle.get_linewidth())[0] * point_size
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


def name_ends(
    figure: Figure,
    axes: Axes,
    last: float,
    ends: np.ndarray,
    labels: Sequence[str],
    colours: Sequence[str],
    *,
    make_room: bool = True,
) -> None:
    """Writes names right of the curves in the order of their ends, without overlap."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(ends, kind="stable")
    figure.draw_without_rendering()  # fixes the limits, on which pixels depend
    to_pixels = axes.transData
    heights = to_pixels.transform([(last, end) for end in ends[order]])[:, 1]
    # The places nearest to the ends that keep one line of text between neighbours.
    gaps = 1.25 * FONT * figure.dpi / 72 * np.arange(len(order))
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
            color=dark(colours[index]),
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
    if make_room:
        figure_width = figure.bbox.width
        figure.subplots_adjust(right=1 - (widest + 0.05 * figure_width) / figure_width)
