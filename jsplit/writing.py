"""Files that are written whole or not at all.

Here: `replacing`, which every file of a trace, a result, a table, a figure, a network
or a vocabulary goes through. Not here: what is in the files.
"""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator

from jsplit.types import JsplitError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives a temporary name in the folder of `path` and then renames that file.

    So a failure or a kill leaves an older file as it was, and never half a new one.

    Args:
        path: where the file is in the end. The temporary name has the same ending.

    Raises:
        JsplitError: if the body, which writes the temporary file, raises OSError.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(pathlib.Path(folder, "a.txt")) as temporary:
        ...         _ = temporary.write_text("whole")
        ...     [file.name for file in pathlib.Path(folder).iterdir()]
        ['a.txt']
    """
    target = pathlib.Path(path)
    token = secrets.token_hex(4)
    temporary = target.with_name(f".{target.stem}.{token}.tmp{target.suffix}")
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


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes text as UTF-8, whole or not at all.

    Raises:
        JsplitError: if the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
