"""How a training shows itself: what is said of it, and how often to look.

Here: texts and times. Not here: where they appear (`jsplit.progress`), the numbers
shown (`training.loop`).
"""

import time
from collections.abc import Sequence

from jsplit.training.history import History

LOOK_SECONDS = 0.5  # between two looks at the loss and the clock
MOST_STEPS = 64  # between two looks: batches wait in memory until then


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


def epoch_note(
    history: History, num_epochs: int, loss: float, accuracy: Sequence[float]
) -> str:
    """Returns the state within an epoch.

    Args:
        history: of the epochs before.
        num_epochs: of the training.
        loss: mean joint loss of the epoch so far.
        accuracy: accuracy of each exit in it.
    """
    epoch = min(len(history.loss) + 1, num_epochs)
    text = f"epoch {epoch}/{num_epochs}  loss {loss:.3f}  exits {_percent(accuracy)}"
    if history.validation_accuracy:
        text += f"  held out {_percent(history.validation_accuracy[-1])}"
    return text


def epoch_line(history: History, num_epochs: int) -> str:
    """Returns what the last epoch came to."""
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
