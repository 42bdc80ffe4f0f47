"""Ctrl-C and SIGTERM end a command soon, with one line, whatever it is doing.

Here: the signals of the command line. A signal is first an exception in the main
thread, which lets everything be put away. Python raises it between two of its own
instructions only, and XLA compiles and runs for longer than anyone wants to wait. So a
watching thread ends the process when that took too long; files are whole or absent in
any case (`writing`). Not here: what is kept of unfinished work.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

PATIENCE = 1.5  # seconds from the signal to the end of the process
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_advice: list[str] = []
_said: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""

    signal = signal.SIGTERM


def say_farewell(number: int) -> None:
    """Prints, once, the line that a command ends with after a signal."""
    if not _said:
        _said.append(number)
        words = [_WORDS[signal.Signals(number)], *_advice]
        print(f"jsplit: {'; '.join(words)}", file=sys.stderr, flush=True)


def end(stop: KeyboardInterrupt) -> int:
    """Says farewell and returns the exit status of a command that a signal ended."""
    number = getattr(stop, "signal", signal.SIGINT)
    say_farewell(number)
    return 128 + number


@contextlib.contextmanager
def advising(text: str) -> Iterator[None]:
    """Says how to go on, should a signal end the body."""
    _advice.append(text)
    try:
        yield
    except KeyboardInterrupt:
        raise  # the line is still to be printed
    except BaseException:
        _advice.pop()
        raise
    else:
        _advice.pop()


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Makes signals end the body as the head of this file says; for the main thread."""

    def terminate(number: int, frame: Any) -> None:
        raise Terminated

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, terminate)}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background
        usual = signal.default_int_handler
        before[signal.SIGINT] = signal.signal(signal.SIGINT, usual)
    fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        if not _said:
            writer.close()  # else watched to its end: workers may hold the process


def _watch(reader: socket.socket) -> None:
    """Ends the process if a signal came and `PATIENCE` or a second signal passed."""
    while number := reader.recv(1):
        if number[0] in (signal.SIGINT, signal.SIGTERM):
            break
    else:
        return  # the body ended
    reader.settimeout(PATIENCE)
    with contextlib.suppress(TimeoutError):
        if not reader.recv(1):
            return
    say_farewell(number[0])
    for child in multiprocessing.active_children():
        child.kill()
    writing = sys.modules.get("jsplit.writing")  # which is heavy, and may not be loaded
    if writing is not None:
        writing.discard_unfinished()
    os._exit(128 + number[0])
