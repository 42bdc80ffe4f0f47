"""A run that is stopped in mid-stream and goes on later with the same bits.

Here: `Midway`, where the state of a run is kept, and `MidwayFile`, in one file. Not
here: what the state is (`shard`), or which run it belongs to: the caller names a place
by everything that determines the run.
"""

import contextlib
import hashlib
import io
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from jsplit.writing import replacing

DIGEST = hashlib.sha256().digest_size


class Saved(NamedTuple):
    """The state of a run between two calls to the devices."""

    position: Sequence[int]  # where it stands, and how the state is laid out
    leaves: Sequence[np.ndarray]


class Midway(Protocol):
    """Where the state of a run is kept."""

    def load(self) -> Saved | None:
        """Returns what was saved last; None if there is nothing, or nothing whole."""
        ...

    def save(self, saved: Saved) -> None:
        """Keeps the state of a run in place of an older one."""
        ...


class MidwayFile:
    """The state of a run in one file, which is written whole or not at all."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Args: where the file is. Its folder exists."""
        self._path = pathlib.Path(path)

    def load(self) -> Saved | None:
        """Returns what was saved last; None if the file is missing or damaged."""
        with contextlib.suppress(OSError):
            content = self._path.read_bytes()
            body = memoryview(content)[:-DIGEST]
            if hashlib.sha256(body).digest() == content[-DIGEST:]:
                file = io.BytesIO(body)
                position = np.load(file).tolist()
                leaves = [np.load(file) for _ in range(position.pop())]
                return Saved(position, leaves)
        return None

    def save(self, saved: Saved) -> None:
        """Writes the state.

        Raises:
            JsplitError: if the file cannot be written.
        """
        with replacing(self._path) as temporary, open(temporary, "wb") as file:
            hashed = _Hashed(file)
            np.save(hashed, np.array([*saved.position, len(saved.leaves)]))
            for leaf in saved.leaves:
                np.save(hashed, leaf)
            file.write(hashed.digest())

    def remove(self) -> None:
        """Removes the file, once the run has ended."""
        self._path.unlink(missing_ok=True)


class _Hashed:
    """Hashes what is written to a file."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def digest(self) -> bytes:
        return self._hash.digest()
