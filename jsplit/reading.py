"""Files that are read whole: regular ones, and JSON of any shape.

Here: `content_of` and `json_of`, which never hang and never overflow a stack. Not here:
what is in a file.
"""

import errno
import json
import pathlib
from typing import Any


def content_of(path: pathlib.Path) -> bytes:
    """Returns the bytes of a file.

    Raises:
        OSError: if it cannot be read, or is a pipe or a device, which may never end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


def json_of(path: pathlib.Path) -> Any:
    """Returns the value that a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(content_of(path).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
