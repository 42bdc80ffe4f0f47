"""One process at a time: a lock that ends with the process that holds it.

Here: `locked`. The system holds the lock, so it is gone when a process is killed, and
what is left of it, an empty-handed file, hinders nobody. Not here: several processes
that share a folder (`taken`).
"""

import contextlib
import os
import pathlib
import socket
import sys
from collections.abc import Iterator

from jsplit.types import JsplitError
from jsplit.writing import unfinished

LOCK = ".lock"
_AT = 2**20  # the byte that Windows locks: beyond what is read


@contextlib.contextmanager
def locked(path: pathlib.Path, argument: str) -> Iterator[None]:
    """Keeps other processes away from a folder or a file while the body runs.

    Where the file system knows no locks, nothing is kept away.

    Args:
        path: a folder that exists, or a file in one.
        argument: what the path was given as, for the message.

    Raises:
        JsplitError: if another process holds it.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with locked(folder, "out"):
        ...     [file.name for file in folder.iterdir()]
        ['.lock']
    """
    lock = path / LOCK if path.is_dir() else path.with_name(f".{path.name}{LOCK}")
    descriptor = _opened(lock, path, argument)
    if descriptor is None:
        yield
        return
    try:
        with unfinished(lock):
            yield
    finally:
        os.close(descriptor)


def _opened(lock: pathlib.Path, path: pathlib.Path, argument: str) -> int | None:
    """Returns the lock file, opened and locked; None where there are no locks."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            reason = error.strerror or error
            raise JsplitError(
                f"{argument}: cannot write into {path}: {reason}"
            ) from None
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):
            holder = os.read(descriptor, 200).decode(errors="replace").split()
            os.close(descriptor)
            by = f"process {holder[1]} on {holder[0]}" if len(holder) == 2 else "others"
            raise JsplitError(
                f"{argument}: {path} is being written by {by}; wait for its end or "
                "use another"
            ) from None
        except OSError:
            os.close(descriptor)
            lock.unlink(missing_ok=True)
            return None
        # Who held it may have removed the file since it was opened.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{socket.gethostname()} {os.getpid()}".encode())
                return descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Locks an open file, or raises OSError."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _AT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return
    try:
        import fcntl
    except ImportError:
        raise OSError("this Python has no locks") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
