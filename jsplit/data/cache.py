"""Decoded examples on disk, so that the second use of a data set decodes nothing.

Here: writing inputs and labels once, and mapping them into memory. Not here: what
they are made from (`loading`).

A cache that is cut short, damaged (a checksum tells) or of another key is made again.
"""

import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.writing import make_folder, temporary_folder

FORMAT = 2
_FILES = ("inputs.npy", "labels.npy")
Batches = Iterable[tuple[np.ndarray, np.ndarray]]


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Returns `cache_dir`, or JSPLIT_CACHE_DIR, or ~/.cache/jsplit."""
    given = cache_dir or os.environ.get("JSPLIT_CACHE_DIR") or "~/.cache/jsplit"
    return checks.path("cache_dir", given).expanduser()


def cached(
    key: Mapping[str, Any],
    batches: Callable[[dict[str, Any]], Batches],
    cache_dir: str | os.PathLike[str] | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Returns the arrays kept under a key; makes them if they are not there.

    Args:
        key: JSON-able facts that decide the content. Its "name" shows in the path.
        batches: makes the content: takes an empty dictionary for facts to keep, and
            yields [n, ...] inputs and [n] labels. Not called if the cache is usable.
        cache_dir: see `cache_folder`.

    Returns:
        inputs: [N, ...], a read-only memory map.
        labels: [N], a read-only memory map.
        facts: what `batches` noted.

    Raises:
        JsplitError: if the folder of the cache cannot be written.
    """
    text = json.dumps({**key, "format": FORMAT}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = str(key["name"]).replace("/", "-")
    folder = cache_folder(cache_dir) / f"{name}-{digest}"
    kept = _open(folder, text)
    if kept is not None:
        return kept
    advice = "; set JSPLIT_CACHE_DIR to a folder that can be written"
    make_folder(folder.parent, "cache", advice)
    with temporary_folder(folder.parent, name) as fresh:
        facts: dict[str, Any] = {}
        writers = [_Writer(fresh / file) for file in _FILES]
        try:
            for pair in batches(facts):
                for writer, array in zip(writers, pair, strict=True):
                    writer.append(array)
        finally:
            for writer in writers:
                writer.close()
        sums = [_checksum(fresh / file) for file in _FILES]
        about = {"key": text, "facts": facts, "sha256": sums}
        (fresh / "about.json").write_text(json.dumps(about), encoding="utf-8")
        _replace(fresh, folder)
    made = _open(folder, text)
    if made is None:
        raise OSError(f"the cache {folder} vanished or changed while it was written")
    return made


def _open(
    folder: pathlib.Path, text: str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]] | None:
    """Returns what a folder holds if it was made from the key `text`, else None."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        # Mapping fails with ValueError where the file is shorter than its header says.
        inputs, labels = (np.load(folder / x, mmap_mode="r") for x in _FILES)
        good = about["key"] == text and len(inputs) == len(labels) > 0
        good = good and about["sha256"] == [_checksum(folder / x) for x in _FILES]
        return (inputs, labels, dict(about["facts"])) if good else None
    except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(fresh: pathlib.Path, folder: pathlib.Path) -> None:
    """Moves a finished folder into place.

    A folder cannot be renamed over one that holds files. Whatever stands in the way is
    unusable, or was made at the same time from the same key: then either will do.
    """
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(fresh, folder)
    except OSError:
        if not folder.is_dir():
            raise


class _Writer:
    """A .npy file that grows by rows; its header is corrected when it is closed."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = path.open("wb")
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)
        self._rows = 0

    def append(self, array: np.ndarray) -> None:
        array = np.ascontiguousarray(array)
        if not self._rows:
            self._shape, self._dtype = array.shape[1:], array.dtype
            self._header()
        if (array.shape[1:], array.dtype) != (self._shape, self._dtype):
            raise ValueError(f"{array.shape[1:]} {array.dtype} after {self._shape}")
        self._file.write(array.data)
        self._rows += len(array)

    def close(self) -> None:
        if self._rows:
            # NumPy pads headers so that the first axis can grow in place.
            self._file.seek(0)
            self._header()
        self._file.close()

    def _header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {
            "descr": descr,
            "fortran_order": False,
            "shape": (self._rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
