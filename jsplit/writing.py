"""Files that are written whole or not at all.

Here: `replacing`, which every file of a trace, a result, a table, a figure, a network
or a vocabulary goes through, `discard_unfinished` for a process that must end at once,
and `make_folder`. Not here: what is in them.
"""

import contextlib
import os
import pathlib
import secrets
import tempfile
from collections.abc import Iterator

from jsplit import checks
from jsplit.types import JsplitError

_unfinished: set[pathlib.Path] = set()


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
    token = secrets.token_hex(4)
    temporary = target.parent / f".{target.stem}.{token}.tmp{target.suffix}"
    _unfinished.add(temporary)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some disks report that they are full here
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(f"cannot write {target}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _unfinished.discard(temporary)


def discard_unfinished() -> None:
    """Removes the temporary files of this process, which is about to end."""
    for temporary in [*_unfinished]:
        with contextlib.suppress(OSError):
            temporary.unlink()


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
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(
            f"{argument}: cannot write into {path}: {reason}{advice}"
        ) from None
