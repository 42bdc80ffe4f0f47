"""How far a long loop is, on standard error: a bar, or lines where nobody watches.

Here: `counted` and `watched`. On a terminal a bar that vanishes at the end; otherwise,
as in a log file, a line about every five seconds, whether anything was counted or not,
and one at the end, unless the caller has just written one.
"""

import contextlib
import datetime
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

LINE_SECONDS = 5.0  # between two lines


class Count:
    """Counts what is done; this one shows nothing."""

    def advance(self, number: int = 1, note: str | None = None) -> None:
        """Counts.

        Args:
            number: how many more are done.
            note: what to show beside them from now on; None for what there is.
        """

    def line(self, text: str) -> None:
        """Writes a line of its own, but not beside a bar."""


class _Lines(Count):
    def __init__(self, what: str, total: int, done: int, unit: str) -> None:
        self._what, self._total, self._first, self._done = what, total, done, done
        self._unit, self._note, self._told = unit, "", -1
        self._start = self._last = time.perf_counter()

    def advance(self, number: int = 1, note: str | None = None) -> None:
        self._done += number
        self._note = self._note if note is None else note
        self.say_if_due()

    def line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self._told = self._done

    def end(self) -> None:
        if self._told != self._done:
            self._say()

    def say_if_due(self) -> None:
        if time.perf_counter() - self._last >= LINE_SECONDS:
            self._say()

    def _say(self) -> None:
        self._last = time.perf_counter()
        seconds = self._last - self._start
        unit = f" {self._unit}" if self._unit else ""
        text = f"{self._what}: {self._done:,}/{self._total:,}{unit} in {_time(seconds)}"
        new = self._done - self._first
        if self._unit and new and seconds:
            text += f", {_rate(new / seconds)}/s"
        if new and self._done < self._total:
            left = (self._total - self._done) / new * seconds
            text += f", about {_time(left)} left"
        self.line(f"{text}; {self._note}" if self._note else text)


@contextlib.contextmanager
def counted(
    what: str, total: int, *, show: bool, done: int = 0, unit: str = ""
) -> Iterator[Count]:
    """Gives the object to count with.

    Args:
        what: what is counted, such as "recording".
        total: how many there are, >= 0.
        show: False shows nothing.
        done: how many of them are done already.
        unit: what they are called; if given, how many there are per second is shown.

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
        lines = _Lines(what, total, done, unit)
        with _beating(lines):
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
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True, console=console) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")
        shown = bar.tasks[0]

        class Bar(Count):
            def advance(self, number: int = 1, note: str | None = None) -> None:
                bar.update(task, advance=number, description=note)
                if unit and shown.speed:
                    bar.update(task, rate=f"{_rate(shown.speed)} {unit}/s")

        yield Bar()


@contextlib.contextmanager
def _beating(lines: _Lines) -> Iterator[None]:
    """Writes lines while the body is silent, as when it compiles."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1.0):
            lines.say_if_due()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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


def _rate(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
