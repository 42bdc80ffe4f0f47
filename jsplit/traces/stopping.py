"""Whether every sample has every exit, which the log of a real run has not.

Here: rows and cells that are missing, in order or twice. Not here: what is in them
(`cells`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jsplit.types import JsplitError


def check_complete(
    sample: np.ndarray,
    exit_: np.ndarray,
    samples: Any,
    exits: Sequence[int | str],
) -> None:
    """Raises unless every sample and exit has one row."""
    num_exits, total = len(exits), len(samples) * len(exits)
    present, counts = np.unique(sample * num_exits + exit_, return_counts=True)
    why = ""
    if len(present) < len(sample):
        wrong, problem = present[(counts > 1).argmax()], "more than one row"
    elif len(present) < total:
        # The first position that does not hold its own number: finds the gap without
        # an array [N, L], which the numbers of a wild table could make too large.
        gaps = np.append(present, total) != np.arange(len(present) + 1)
        wrong, problem = gaps.argmax(), "no row"
        rows = np.bincount(sample, minlength=len(samples))
        deepest = np.zeros(len(samples), np.int64)
        np.maximum.at(deepest, sample, exit_ + 1)
        if len(present) == len(samples):
            why = stopped_early("each sample has the exit alone that it took")
        elif (deepest == rows).all():
            short = int((deepest < num_exits).sum())
            why = stopped_early(
                f"{short} of {len(samples)} samples end before the last"
            )
    else:
        return
    row, column = divmod(int(wrong), num_exits)
    raise JsplitError(
        f"every sample and exit must have one row, got {problem} for sample "
        f"{samples[row]}, exit {exits[column]}{why}"
    )


def check_same_order(
    sample: np.ndarray, exit_: np.ndarray, exits: Sequence[int | str]
) -> None:
    """Raises unless every sample has its exits, which are names, in one order."""
    rows = np.argsort(sample, kind="stable")
    later = (np.diff(sample[rows]) == 0) & (np.diff(exit_[rows]) < 0)
    if later.any():
        raise JsplitError(
            "exits must have numbers if their rows are not in order, got "
            f"{listed(exits)}"
        )


def stopped_early(how: str) -> str:
    """Returns why the log of a run that stopped early is no trace."""
    return (
        f": {how}, as in the log of a run that stopped early, which lacks what later "
        "exits would have said, so no other policy can be replayed on it; record every "
        "exit for every sample"
    )


def listed(keys: Sequence[int | str], limit: int = 12) -> str:
    """Returns numbers or names of exits, the first of many."""
    more = ", ..." if len(keys) > limit else ""
    return ", ".join(f"{key}" for key in keys[:limit]) + more
