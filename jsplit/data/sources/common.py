"""What all readers of source files share: their types, and finding files."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from jsplit.data.catalogue import Entry
from jsplit.types import JsplitError

Examples = Iterator[tuple[Any, dict[str, Any]]]
"""Keys and examples; TFDS orders records by a hash of the key."""

Splits = dict[str, Callable[[], Examples]]
"""Functions that yield the examples of a split."""

Reader = Callable[[Entry, pathlib.Path], Splits]
"""Looks for the files of a data set in a folder."""


def locate(folder: pathlib.Path, *names: str) -> pathlib.Path | None:
    """Returns the first of the files that is in the folder or just below, or None."""
    for name in names:
        for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if path.is_file():
                return path
    return None


def need(entry: Entry, folder: pathlib.Path, *names: str) -> pathlib.Path:
    """Returns the first of the files that is there, or raises."""
    path = locate(folder, *names)
    if path is None:
        raise JsplitError(
            f"source of {entry.name} must hold {' or '.join(names)}, got {folder} "
            f"without (from {entry.home})"
        )
    return path


def some(entry: Entry, folder: pathlib.Path, splits: Splits, *names: str) -> Splits:
    """Returns the splits, or raises if no file was there for any of them."""
    if not splits:
        need(entry, folder, *names)
    return splits
