"""How a training shows itself: a bar for a person, a line per epoch for a log file.

Here: text on standard error, and how often to look. Not here: the numbers shown
(`training.loop`).
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from jsplit.training.history import History

LOOK_SECONDS = 0.5  # between two looks at the loss and the clock
MOST_STEPS = 64  # between two looks: batches wait in memory until then


class Shown(NamedTuple):
    """The functions to call while training."""

    look: Callable[[History, float, Sequence[float]], None]  # loss, accuracies
    epoch: Callable[[History], None]


class Pace:
    """Says after which steps to look, so that looks are about evenly spaced in time."""

    def __init__(self) -> None:
        self._each = 1
        self._left = 1
        self._last = time.perf_counter()

    def is_due(self) -> bool:
        """Counts a step; returns whether to look after it."""
        self._left -= 1
        return self._left <= 0

    def looked(self) -> None:
        """Says that somebody has just looked."""
        now = time.perf_counter()
        share = LOOK_SECONDS / max(now - self._last, 1e-6)
        wanted = round(self._each * min(share, 2.0))
        self._each = self._left = min(max(wanted, 1), MOST_STEPS)
        self._last = now


@contextlib.contextmanager
def shown(
    num_epochs: int, steps_per_epoch: int, start: int, *, show: bool
) -> Iterator[Shown]:
    """Gives the functions to call after a look and after an epoch.

    Args:
        num_epochs: of the training.
        steps_per_epoch: of each.
        start: steps taken by earlier runs.
        show: False shows nothing.
    """
    if not show:
        yield Shown(lambda history, loss, accuracy: None, lambda history: None)
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Shown(
            lambda history, loss, accuracy: None,
            lambda history: print(_line(history, num_epochs), file=sys.stderr),
        )
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("training"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True, console=console) as bar:
        total = num_epochs * steps_per_epoch
        task = bar.add_task("compiling", total=total, completed=start)

        def look(history: History, loss: float, accuracy: Sequence[float]) -> None:
            epoch = min(len(history.loss) + 1, num_epochs)
            text = f"epoch {epoch}/{num_epochs}  loss {loss:.3f}  exits "
            text += _percent(accuracy)
            if history.validation_accuracy:
                text += f"  held out {_percent(history.validation_accuracy[-1])}"
            bar.update(task, completed=history.step, description=text)

        yield Shown(look, lambda history: None)


def _line(history: History, num_epochs: int) -> str:
    line = (
        f"epoch {len(history.loss)}/{num_epochs}: loss {history.loss[-1]:.4f}, "
        f"exits {_percent(history.accuracy[-1])}"
    )
    if history.validation_loss:
        line += (
            f"; held out: loss {history.validation_loss[-1]:.4f}, "
            f"exits {_percent(history.validation_accuracy[-1])}"
        )
    return f"{line} ({history.seconds:.0f} s)"


def _percent(accuracy: Sequence[float]) -> str:
    return " ".join(f"{100 * value:.1f}" for value in accuracy) + " %"
