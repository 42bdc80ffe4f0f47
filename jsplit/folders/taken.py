"""Who is at which part of a folder, so that several processes do not do the same.

Here: `Taken`, one small file for each part in work. Such a file only saves work: were
it lost, a part would be computed twice and written twice alike. Not here: the parts
(`sweeps.chunks`), one process for a whole folder (`lock`).
"""

import contextlib
import os
import pathlib
import socket
import threading
import time

from jsplit.types import JsplitError
from jsplit.writing import lives

STALE_SECONDS = 300.0  # without a sign of life from another host
BEAT_SECONDS = 60.0
_EMPTY_SECONDS = 5.0  # a process that died before it wrote its name


class Taken:
    """The parts of a folder that processes are at.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._mine: set[pathlib.Path] = set()
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None

    def take(self, name: str) -> bool:
        """Takes a part, unless another process that lives has it.

        Raises:
            JsplitError: if the folder cannot be written into.
        """
        path = self._file(name)
        for _ in range(2):
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(f"{socket.gethostname()} {os.getpid()}")
            except FileExistsError:
                if path in self._mine:
                    return True
                if self.is_taken(name):
                    return False
                with contextlib.suppress(OSError):
                    path.unlink()
            except OSError as error:
                with contextlib.suppress(OSError):
                    path.unlink()  # which may be empty, on a full disk
                reason = error.strerror or error
                raise JsplitError(f"cannot write {path}: {reason}") from None
            else:
                self._mine.add(path)
                self._keep_alive()
                return True
        return False

    def is_taken(self, name: str) -> bool:
        """Tells whether a process that lives, as far as one can see, has a part."""
        path = self._file(name)
        try:
            silent = time.time() - path.stat().st_mtime
            host, _, pid = path.read_text(encoding="utf-8").partition(" ")
        except (OSError, UnicodeDecodeError):
            return False
        if not pid.isdigit():
            return silent < _EMPTY_SECONDS
        if host == socket.gethostname() and not lives(int(pid)):
            return False
        return silent < STALE_SECONDS

    def release(self, name: str) -> None:
        """Gives a part of this process free."""
        path = self._file(name)
        self._mine.discard(path)
        with contextlib.suppress(OSError):
            path.unlink()

    def release_all(self) -> None:
        """Gives all parts of this process free."""
        for path in [*self._mine]:
            self.release(path.stem)
        self._stop.set()
        self._beat = None

    def _file(self, name: str) -> pathlib.Path:
        return self._folder / f"{name}.taken"

    def _keep_alive(self) -> None:
        if self._beat is None:
            self._stop = threading.Event()
            self._beat = threading.Thread(
                target=self._sign, args=(self._stop,), daemon=True
            )
            self._beat.start()

    def _sign(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_SECONDS):
            for path in [*self._mine]:
                with contextlib.suppress(OSError):
                    os.utime(path)
