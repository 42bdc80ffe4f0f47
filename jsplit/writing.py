"""Files that are written whole or not at all.

Here: `replacing`, which every file of a trace, a result, a table, a figure, a network
or a vocabulary goes through, `temporary_folder` for several files at once, and
`make_folder`. What is unfinished carries the number of its process in its name: a
process that must end at once removes its own (`discard_unfinished`), and the next one
that writes into the folder what others left when they were killed. Not here: what is in
the files.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator

from jsplit import checks
from jsplit.types import JsplitError

_unfinished: set[pathlib.Path] = set()
_tidied: set[tuple[int, pathlib.Path]] = set()  # folders, by process
_TEMPORARY = re.compile(r"\.(.*\.)?([0-9a-f]{6})-(\d+)-[0-9a-f]{8}\.tmp(\..*)?")
_STALE_SECONDS = 3600.0  # without a change, of what another host writes


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives a temporary name in the folder of `path` and then renames that file.

    So a failure or a kill leaves an older file as it was, and never half a new one.

    Args:
        path: where the file is in the end. The temporary name has the same ending.

    Raises:
        JsplitError: if `path` is no path, or if the body, which writes the temporary
            file, raises OSError.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(pathlib.Path(folder, "a.txt")) as temporary:
        ...         _ = temporary.write_text("whole")
        ...     [file.name for file in pathlib.Path(folder).iterdir()]
        ['a.txt']
    """
    target = checks.path("path", path)
    _tidy_once(target.parent)
    temporary = target.parent / temporary_name(target.stem, target.suffix)
    try:
        with unfinished(temporary):
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())  # some disks report that they are full here
            os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(f"cannot write {target}: {reason}") from error


@contextlib.contextmanager
def temporary_folder(parent: pathlib.Path, stem: str) -> Iterator[pathlib.Path]:
    """Gives a new folder, which is removed in the end unless it was renamed.

    Args:
        parent: where the folder is made.
        stem: what its name has after a dot.
    """
    _tidy_once(parent)
    folder = parent / temporary_name(stem)
    with unfinished(folder):
        folder.mkdir()
        yield folder


def temporary_name(stem: str, suffix: str = "") -> str:
    """Returns a name that tells which process writes, for a file or a folder."""
    token = secrets.token_hex(4)
    return f".{stem}.{_host()}-{os.getpid()}-{token}.tmp{suffix}"


@contextlib.contextmanager
def unfinished(path: pathlib.Path) -> Iterator[None]:
    """Removes a file or a folder in the end, be it by `discard_unfinished`."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _remove(path)
        _unfinished.discard(path)


def discard_unfinished() -> None:
    """Removes what this process, which is about to end, has not finished."""
    for path in [*_unfinished]:
        _remove(path)


def _tidy_once(folder: pathlib.Path) -> None:
    mark = os.getpid(), folder
    if mark not in _tidied:
        _tidied.add(mark)
        _tidy(folder)


def _tidy(folder: pathlib.Path) -> None:
    """Removes what processes that are dead have not finished in a folder."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found is not None and _is_left(path, found[2], int(found[3])):
                _remove(path)


def _is_left(path: pathlib.Path, host: str, pid: int) -> bool:
    if host == _host():
        return not lives(pid)
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > _STALE_SECONDS
    return False


def lives(pid: int) -> bool:
    """Tells whether a process of this host lives; True where one cannot ask."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _remove(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes text as UTF-8, whole or not at all.

    Raises:
        JsplitError: if the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: str | os.PathLike[str], argument: str, advice: str = "") -> None:
    """Makes a folder and tries to write into it, before any long work.

    Args:
        path: the folder. Those above it are made too.
        argument: what the path was given as, for the message.
        advice: what the message ends with, such as "; set HOME".

    Raises:
        JsplitError: if the folder cannot be made or not be written into.

    Example:
        >>> from jsplit.writing import make_folder
        >>> make_folder("/dev/null/net", "out")
        Traceback (most recent call last):
            ...
        jsplit.types.JsplitError: out: cannot write into /dev/null/net: Not a directory
    """
    folder = checks.path(argument, path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        _tidy(folder)
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(
            f"{argument}: cannot write into {path}: {reason}{advice}"
        ) from None
