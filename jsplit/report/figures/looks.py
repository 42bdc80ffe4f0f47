"""How policies look: the same in every figure.

Here: colours, markers and lines. Not here: drawing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.colors import to_rgb

# Okabe and Ito (2008) without yellow, which vanishes on white, and without black,
# which is the baseline's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "v", "P", "X")
LINES = ("solid", (0, (5, 1.5)), (0, (1, 1.2)))
INK = "#333333"
FAINT = "#BBBBBB"


class Look(NamedTuple):
    """How one policy is drawn, the same in every figure of an evaluation."""

    colour: str
    marker: str
    line: Any  # a line style of matplotlib
    is_baseline: bool
    is_hollow: bool


def looks_of(
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


def dark(colour: str) -> tuple[float, ...]:
    """Returns a colour dark enough for small text on white."""
    return tuple(0.7 * part for part in to_rgb(colour))
