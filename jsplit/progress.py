"""How far a long loop is, on standard error: a bar, or lines where nobody watches.

Here: `counted` and `watched`. On a terminal a bar that vanishes at the end; otherwise,
as in a log file, a line about every ten seconds and one at the end, unless the caller
has just written one.
"""

import contextlib
import datetime
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

LINE_SECONDS = 10.0  # between two lines


class Count:
    """Counts what is done; this one shows nothing."""

    def advance(self, number: int = 1, note: str = "") -> None:
        """Counts.

        Args:
            number: how many more are done.
            note: what to show beside them from now on.
        """

    def line(self, text: str) -> None:
        """Writes a line of its own, but not beside a bar."""


class _Lines(Count):
    def __init__(self, what: str, total: int, done: int) -> None:
        self._what, self._total, self._first, self._done = what, total, done, done
        self._note, self._told = "", -1
        self._start = self._last = time.perf_counter()

    def advance(self, number: int = 1, note: str = "") -> None:
        self._done += number
        self._note = note
        if time.perf_counter() - self._last >= LINE_SECONDS:
            self.say()

    def line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self._told = self._done

    def end(self) -> None:
        if self._told != self._done:
            self.say()

    def say(self) -> None:
        self._last = time.perf_counter()
        seconds = self._last - self._start
        text = f"{self._what}: {self._done:,}/{self._total:,} in {_time(seconds)}"
        if self._first < self._done < self._total:
            left = (self._total - self._done) / (self._done - self._first) * seconds
            text += f", about {_time(left)} left"
        self.line(f"{text}; {self._note}" if self._note else text)


@contextlib.contextmanager
def counted(what: str, total: int, *, show: bool, done: int = 0) -> Iterator[Count]:
    """Gives the object to count with.

    Args:
        what: what is counted, such as "recording".
        total: how many there are, >= 0.
        show: False shows nothing.
        done: how many of them are done already.

    Example:
        >>> with counted("replaying", 3, show=False) as count:
        ...     for _ in range(3):
        ...         count.advance()
    """
    if not show:
        yield Count()
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        lines = _Lines(what, total, done)
        yield lines
        lines.end()
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True, console=console) as bar:
        task = bar.add_task("", total=total, completed=done)

        class Bar(Count):
            def advance(self, number: int = 1, note: str = "") -> None:
                bar.update(task, advance=number, description=note)

        yield Bar()


def watched(items: Sequence[T], what: str, *, show: bool) -> Iterable[T]:
    """Yields the items, counting those that are done.

    Args:
        items: what to go through.
        what: what is done with them, such as "recording".
        show: False shows nothing.
    """
    with counted(what, len(items), show=show) as count:
        for item in items:
            yield item
            count.advance()


def _time(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
