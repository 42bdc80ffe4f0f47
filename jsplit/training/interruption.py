"""A signal in a training: noticed between two steps, after which the state is saved.

Here: `Interrupted` and `stop_flag`. Not here: what is saved (`checkpoint`), the end of
a command (`commands.stopping`).
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A signal ended a training after its state was saved.

    Attributes:
        signal: its number.
    """

    def __init__(self, message: str, number: int) -> None:
        """Takes what to say and the number of the signal."""
        super().__init__(message)
        self.signal = number


@contextlib.contextmanager
def stop_flag(listens: bool) -> Iterator[Callable[[], int]]:
    """Gives a function that says whether SIGINT or SIGTERM has come, and which.

    A second signal does what it did before. Python handles signals in the main thread
    only; elsewhere nothing changes.
    """
    if not listens or threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    came: list[int] = []
    before = {}

    def handle(number: int, frame: Any) -> None:
        came.append(number)
        for one, handler in before.items():
            signal.signal(one, handler)

    for one in (signal.SIGINT, signal.SIGTERM):
        before[one] = signal.signal(one, handle)
    try:
        yield lambda: came[0] if came else 0
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
