"""Arrays of .npz files, those of `Trace.save` and those that others wrote.

Here: reading the arrays that matter, and arrays of objects without running anything.
Not here: which array is which (`columns`), our own header (`files`).
"""

import pathlib
import pickletools
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import ml_dtypes
import numpy as np

from jsplit.checks import shown
from jsplit.traces.columns import (
    LONG,
    PER_CLASS,
    PER_EXIT,
    Found,
    find,
    is_enough,
    lacks_confidences,
    may_hold_confidences,
    unnamed,
)
from jsplit.traces.tables import Imported, one_of
from jsplit.types import JsplitError

_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "BINFLOAT")
_TRUTH = {"NEWTRUE": True, "NEWFALSE": False}
_IDLE = ("MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "APPEND", "APPENDS", "FRAME")


def read_npz(
    path: pathlib.Path, stated: Mapping[str, str] | None = None
) -> Imported | dict[str, np.ndarray]:
    """Reads the arrays of an .npz file that matter for a trace; unpickles nothing.

    Args:
        path: the file, written by anyone.
        stated: names of arrays by what they hold, see `columns.find`.

    Returns:
        All arrays by name of a file that `Trace.save` wrote. Of others arrays [N, L],
        or [N, L, C]; what is in one array per exit, such as logits_1, logits_2, is put
        together.

    Raises:
        JsplitError: if it is no .npz file, is damaged, or lacks the arrays needed.
    """
    with _Archive(path) as archive:
        if "header" in archive.names:
            return {name: archive.read(name) for name in archive.names}
        found = find(archive.names, stated)
        if not is_enough({*found.whole, *found.by_exit}):
            raise JsplitError(
                "expected the arrays logits and labels, or confidence, and correct or "
                f"prediction and label, got {shown(archive.members, LONG)}"
            )
        imported = _imported(archive, found)
        given = {*found.whole, *found.by_exit}
        if lacks_confidences(given, stated):
            _refuse_unnamed(archive, imported)
        return imported


def _imported(archive: "_Archive", found: Found) -> Imported:
    arguments: dict[str, Any] = {}
    sources = dict(found.whole)
    exits: list[int | str] = []
    for quantity, columns in found.by_exit.items():
        if exits and list(columns) != exits:
            raise JsplitError(
                f"arrays of {quantity} must be for the exits "
                f"{', '.join(map(str, exits))}, got {', '.join(map(str, columns))}"
            )
        exits = list(columns)
        parts = [archive.read(name) for name in columns.values()]
        shapes = {part.shape for part in parts}
        wanted = 2 if quantity in PER_CLASS else 1
        if len(shapes) > 1 or parts[0].ndim != wanted:
            raise JsplitError(
                f"arrays of {quantity}, one per exit, must have the same shape "
                f"{'[N, C]' if wanted == 2 else '[N]'}, got "
                f"{', '.join(map(str, sorted(shapes)))}"
            )
        arguments[quantity] = np.stack(parts, axis=1)
        sources[quantity] = list(columns.values())
    for quantity, names in found.whole.items():
        if quantity in (*PER_EXIT, *PER_CLASS, "label", "sample"):
            arguments.setdefault(
                quantity,
                one_of(quantity, {name: archive.read(name) for name in names}),
            )
    if "sample" in arguments and arguments["sample"].shape != (_len_of(arguments),):
        # Some other array with a usual name, such as images under `image`.
        del arguments["sample"], sources["sample"]
    return Imported(arguments, exits, sources)


def _refuse_unnamed(archive: "_Archive", imported: Imported) -> None:
    """Raises if an array that is not used looks like confidences."""
    used = {name for names in imported.sources.values() for name in names}
    wanted = next(
        np.shape(imported.arguments[x])
        for x in ("correct", "prediction")
        if x in imported.arguments
    )
    for name in archive.names:
        if name in used or archive.shape(name) != wanted:
            continue
        if may_hold_confidences(archive.read(name)):
            raise unnamed(name)


def _len_of(arguments: Mapping[str, Any]) -> int:
    """Returns the number of samples that arrays are for."""
    return max(
        (
            len(array)
            for name, array in arguments.items()
            if name in (*PER_EXIT, *PER_CLASS)
        ),
        default=0,
    )


class _Archive:
    """The arrays of an .npz file, each read when it is asked for."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.names: list[str] = []

    def __enter__(self) -> "_Archive":
        try:
            # Asked first: NumPy would advise to unpickle a file that is no archive.
            with open(self.path, "rb") as file:
                is_archive = zipfile.is_zipfile(file)
            if not is_archive:
                raise JsplitError(
                    "not an .npz file, truncated or damaged (no zip archive)"
                )
            self.zip = zipfile.ZipFile(self.path)
            # Members that are no arrays are none of our business.
            members = self.zip.namelist()
            self.names = [n.removesuffix(".npy") for n in members if n.endswith(".npy")]
            self.members = [n.removesuffix(".npy") for n in members]
            if "header" not in self.names and (bad := self.zip.testzip()):
                # One wrong byte in a name must not turn a saved trace into a foreign
                # file, which carries no checksum of its own.
                raise zipfile.BadZipFile(f"entry {bad!r}")
        except OSError as error:
            raise JsplitError(f"cannot read it: {error.strerror or error}") from error
        except JsplitError:
            raise
        except Exception as error:  # bytes that are no archive fail in a dozen ways
            raise _damaged(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of an array, which is not read."""
        try:
            with self.zip.open(f"{name}.npy") as file:
                return _header(file)[0]
        except Exception as error:
            raise _damaged(error) from error

    def read(self, name: str) -> np.ndarray:
        """Returns an array; bfloat16, which NumPy stores without its name, as such."""
        try:
            with self.zip.open(f"{name}.npy") as file:
                shape, dtype = _header(file)
                if dtype.hasobject:
                    return _plain_objects(name, file, shape)
            with self.zip.open(f"{name}.npy") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
        except JsplitError:
            raise
        except Exception as error:
            raise _damaged(error) from error
        if array.dtype == np.dtype("V2"):
            return array.view(ml_dtypes.bfloat16)
        return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Returns the shape and type of the array that follows."""
    is_first = np.lib.format.read_magic(file) == (1, 0)
    one, two = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    shape, _, dtype = (one if is_first else two)(file)
    return shape, dtype


def _plain_objects(name: str, file: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """Returns an array of objects that are plain numbers, read without running it.

    NumPy pickles such an array. The instructions of the pickle are looked at and none
    is followed: after its only list begins, numbers must follow until it ends.
    """
    values: list[Any] | None = None
    for op, argument, _ in pickletools.genops(file.read()):
        if values is None:
            values = [] if op.name == "EMPTY_LIST" else None
        elif op.name in _NUMBERS:
            values.append(argument)
        elif op.name in _TRUTH:
            values.append(_TRUTH[op.name])
        elif op.name in ("TUPLE", "BUILD", "STOP"):
            break
        elif op.name not in _IDLE:
            values = None
            break
    if values is None or len(values) != int(np.prod(shape)):
        raise JsplitError(
            f"array {name} of this .npz file must hold numbers, got Python objects, "
            f"which are never unpickled; save {name}.astype(int) instead"
        )
    return np.array(values).reshape(shape)


def _damaged(error: Exception) -> JsplitError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return JsplitError(f"not an .npz file, truncated or damaged ({reason})")
