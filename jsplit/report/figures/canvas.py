"""The paper that figures are drawn on: size, title, footnote, file.

Here: what surrounds the data. Not here: what is drawn (`cost`, `regret`).
"""

import os
import textwrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jsplit import checks
from jsplit.report.cells import percent
from jsplit.report.cells import replicas as count_replicas
from jsplit.report.figures.looks import INK
from jsplit.results.labelled import Labelled
from jsplit.types import JsplitError
from jsplit.writing import replacing

SUFFIXES = (".png", ".pdf", ".svg")
SIZE = (7.2, 5.0)  # inches
DPI = 150  # 1080 pixels, the width of a README column on a dense screen
FONT, SMALL = 10, 8  # points
MARKER_SIZE = 6.5  # points
NOTE_WIDTH = 112  # characters of SMALL in one line


def new_figure(title: str) -> tuple[Figure, Axes]:
    """Makes a figure with one plain axes and a canvas that can measure text."""
    figure, (axes,) = new_panels(1, 1, SIZE)
    dress(axes, title)
    return figure, axes


def new_panels(
    lines: int, columns: int, size: tuple[float, float]
) -> tuple[Figure, list[Axes]]:
    """Makes a figure, `size` in inches, with axes in lines and columns."""
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, squeeze=False)
    return figure, [axes for line in panels for axes in line]


def dress(axes: Axes, title: str) -> None:
    """Gives axes a title and the look that all figures have."""
    axes.set_title(title, fontsize=FONT + 1, color=INK, loc="left", pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT, colors=INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=FONT, color=INK)


def canvas_of(axes: Axes | None, title: str) -> tuple[Figure, Axes, bool]:
    """Returns the figure and the axes to draw on, and whether both are new.

    Args:
        axes: of the user; None = in a figure of their own.
        title: of the axes.
    """
    if axes is None:
        return *new_figure(title), True
    dress(axes, title)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure, axes, False


def note_below(axes: Axes, note: str) -> None:
    """Writes a note below axes of the user, whose layout leaves room for it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    width = axes.get_position().width * figure.get_figwidth()
    axes.annotate(
        textwrap.fill(note, max(24, int(width * NOTE_WIDTH / SIZE[0]))),
        (0, 0),
        (0, -4 * FONT),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=SMALL,
        color=INK,
        annotation_clip=False,
    )


def write_note(axes: Axes, note: str, *, is_new: bool) -> None:
    """Writes a note where the figure has room for it.

    Args:
        axes: what it is about.
        note: the text.
        is_new: whether figure and axes are ours, see `canvas_of`.
    """
    if not is_new:
        note_below(axes, note)
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    footnote(figure, note)


def footnote(figure: Figure, note: str) -> None:
    """Writes a note below the axes, wrapped, and makes room for it."""
    lines = [
        part for line in note.split("\n") for part in textwrap.wrap(line, NOTE_WIDTH)
    ]
    figure.text(
        0.015, 0.02, "\n".join(lines), fontsize=SMALL, color=INK, linespacing=1.4
    )
    note_height = len(lines) * 1.4 * SMALL + 4.8 * FONT
    height = 72 * figure.get_figheight()
    figure.subplots_adjust(left=0.11, right=0.97, top=0.92, bottom=note_height / height)


def title_of(labelled: Labelled, subject: str) -> str:
    """Names the data set, the subject, the stream and the number of replicas."""
    attrs = labelled.attrs
    if "stream" not in attrs:
        return f"{attrs['dataset']}: {subject} (exact)"
    replicas = count_replicas(attrs["num_replicas"])
    return f"{attrs['dataset']}: {subject} ({attrs['stream']} stream, {replicas})"


def covered(table: Labelled) -> str:
    """Says the level and the coverage of a summary's intervals."""
    return f"{percent(table.attrs['level'])}, {table.attrs['covers']}."


def save(figure: Figure, path: str | os.PathLike[str] | None) -> None:
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
