"""Files that other tools wrote, CSV, Parquet and NPZ, as arguments for a trace.

Here: reading files and folding tables in long or wide form into arrays [N, L]. Not
here: whether the values make sense, which `Trace` checks whatever their origin.
"""

import csv
import pathlib
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jsplit.checks import shown
from jsplit.extras import naming
from jsplit.types import JsplitError

PER_EXIT = (
    "confidence",
    "prediction",
    "correct",
    "entropy",
    "remote_confidence",
    "remote_correct",
    "remote_prediction",
)
"""Quantities with one value per sample and exit, named as in `Trace.from_arrays`."""

_LONG = 400  # characters of a list of names in a message
_WIDE_NAME = re.compile(rf"({'|'.join(PER_EXIT)})_(0|[1-9]\d*)")


class _Table(NamedTuple):
    columns: Mapping[str, Sequence[Any] | np.ndarray]  # name -> cells
    rows: Sequence[int]  # where each row is in the file, for messages


def read_table(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads a CSV or Parquet table of exits.

    - Long form has one row per sample and exit, in any order: columns `sample`, `exit`,
      `confidence`, then `prediction` and `label`, or `correct`.
    - Wide form has one row per sample: columns `confidence_1` .. `confidence_L`, then
      `prediction_1` .. and `label`, or `correct_1` ..

    Optional in both are entropy, remote_confidence, and remote_correct or
    remote_prediction. Exits count from 0 or from 1. Other columns are ignored.

    Args:
        path: a file that ends in .csv or .parquet.

    Returns:
        Arguments of `Trace.from_arrays`: arrays [N, L], label [N]; samples sorted by
        number (long form) or as in the file (wide form). CSV numbers are float64,
        Parquet numbers keep their type.

    Raises:
        JsplitError: if the file cannot be read, or columns, rows or cells are missing
            or wrong.
        ImportError: if it is a Parquet file and pyarrow is not installed.

    Example:
        >>> import pathlib, tempfile
        >>> from jsplit.traces.tables import read_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "toy.csv")
        ...     _ = path.write_text("confidence_1,confidence_2,correct_1,correct_2"
        ...                         + chr(10) + "0.6,0.9,0,1")
        ...     read_table(path)["confidence"]
        array([[0.6, 0.9]])
    """
    read = _read_csv if path.suffix.lower() == ".csv" else _read_parquet
    try:
        table = read(path)
    except OSError as error:
        raise JsplitError(f"cannot read it: {error.strerror or error}") from error
    if not table.rows:
        raise JsplitError("expected at least one row below the column names, got none")
    return _from_long(table) if "confidence" in table.columns else _from_wide(table)


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file that matter for a trace; unpickles nothing.

    Args:
        path: the file, written by `Trace.save` or by anyone else.

    Returns:
        The arrays that `Trace.save` wrote, if one is called `header`. Otherwise the
        arguments of `Trace.from_logits` if one is called `logits`, and of
        `Trace.from_arrays` if not.

    Raises:
        JsplitError: if it is no .npz file, is damaged, or lacks the arrays needed.
    """
    wanted = {"header", "logits", "remote_logits", "labels", "label", *PER_EXIT}
    try:
        # Asked first: NumPy would advise to unpickle a file that is no archive.
        with open(path, "rb") as file:
            is_archive = zipfile.is_zipfile(file)
    except OSError as error:
        raise JsplitError(f"cannot read it: {error.strerror or error}") from error
    if not is_archive:
        raise JsplitError("not an .npz file, truncated or damaged (no zip archive)")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            # Other entries of a foreign file are none of our business and may not
            # even be readable without pickle.
            names = archive.files
            if "header" not in names and (bad := archive.zip.testzip()):
                # One wrong byte in a name must not turn a saved trace into a foreign
                # file, which carries no checksum of its own.
                raise zipfile.BadZipFile(f"entry {bad!r}")
            arrays = {name: archive[name] for name in names if name in wanted}
    except Exception as error:  # bytes that are no archive fail in a dozen ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise JsplitError(
            f"not an .npz file, truncated or damaged ({reason})"
        ) from error
    # np.load hands out members of a zip file that are no arrays as bytes.
    arrays = {k: v for k, v in arrays.items() if isinstance(v, np.ndarray)}
    if "header" in arrays:
        return arrays
    label = {"label", "labels"} & arrays.keys()
    if "logits" in arrays and label:
        kept = {k: arrays[k] for k in ("logits", "remote_logits") if k in arrays}
        return {**kept, "labels": arrays[min(label)]}
    if _complete(arrays, bool(label)):
        kept = {k: arrays[k] for k in PER_EXIT if k in arrays}
        return {**kept, "label": arrays[min(label)]} if label else kept
    raise JsplitError(
        "expected the arrays logits and labels, or confidence, and correct or "
        f"prediction and label, got {shown(names, _LONG)}"
    )


def _read_csv(path: pathlib.Path) -> _Table:
    cells: list[list[str]] = []
    rows: list[int] = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            names = [name.strip() for name in next(reader, [])]
            for row in filter(None, reader):  # blank lines come as empty lists
                if len(row) != len(names):
                    raise JsplitError(
                        f"row {reader.line_num} must have {len(names)} cells like the "
                        f"first row, got {len(row)}"
                    )
                cells.append(row)
                rows.append(reader.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise JsplitError(f"not a CSV file in UTF-8: {error}") from error
    if not names:
        raise JsplitError("expected column names in the first row, got an empty file")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise JsplitError(f"column names must differ, got {repeated[0]!r} twice")
    return _Table(dict(zip(names, zip(*cells, strict=True), strict=False)), rows)


def _read_parquet(path: pathlib.Path) -> _Table:
    with naming("reading Parquet"):
        import pyarrow
        import pyarrow.parquet
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read()
    except (pyarrow.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise JsplitError(f"not a Parquet file, or damaged ({reason})") from error
    columns = {name: table[name].to_numpy() for name in table.column_names}
    return _Table(columns, range(1, table.num_rows + 1))


def _from_long(table: _Table) -> dict[str, np.ndarray]:
    given = [name for name in PER_EXIT if name in table.columns]
    _require(table, given, "sample", "exit")
    samples, sample_index = np.unique(_whole(table, "sample"), return_inverse=True)
    exits, exit_index = np.unique(_whole(table, "exit"), return_inverse=True)
    _check_numbering("column exit", exits)
    num_samples, num_exits = len(samples), len(exits)
    position = sample_index * num_exits + exit_index
    present, counts = np.unique(position, return_counts=True)
    total = num_samples * num_exits
    if len(present) < len(position):
        wrong, problem = present[(counts > 1).argmax()], "more than one row"
    elif len(present) < total:
        # The first position that does not hold its own number: finds the gap without
        # an array [N, L], which the numbers of a wild table could make too large.
        gaps = np.append(present, total) != np.arange(len(present) + 1)
        wrong, problem = gaps.argmax(), "no row"
    else:
        wrong = problem = None
    if wrong is not None:
        row, column = divmod(int(wrong), num_exits)
        raise JsplitError(
            f"every sample and exit must have one row, got {problem} for sample "
            f"{samples[row]:g}, exit {exits[column]:g}"
        )

    def fold(name: str) -> np.ndarray:
        cells = _numbers(table, name)
        folded = np.empty_like(cells)
        folded[position] = cells
        return folded.reshape(num_samples, num_exits)

    arguments = {name: fold(name) for name in given}
    if "label" in table.columns:
        labels = fold("label")
        differs = (labels != labels[:, :1]).any(axis=1)
        if differs.any():
            raise JsplitError(
                "label must be the same in all rows of a sample, got different ones "
                f"for sample {samples[differs.argmax()]:g}"
            )
        arguments["label"] = labels[:, 0]
    return arguments


def _from_wide(table: _Table) -> dict[str, np.ndarray]:
    numbered: dict[str, dict[int, str]] = {}
    for column in table.columns:
        if match := _WIDE_NAME.fullmatch(column):
            numbered.setdefault(match[1], {})[int(match[2])] = column
    _require(table, numbered)
    exits = sorted(numbered["confidence"])
    _check_numbering("columns confidence_*", exits)
    arguments = {}
    for name, columns in numbered.items():
        if sorted(columns) != exits:
            raise JsplitError(
                f"columns {name}_* must be numbered like confidence_*, "
                f"{_listed(exits)}, got {_listed(sorted(columns))}"
            )
        cells = [_numbers(table, columns[number]) for number in exits]
        arguments[name] = np.stack(cells, axis=1)
    if "label" in table.columns:
        arguments["label"] = _numbers(table, "label")
    return arguments


def _complete(names: Iterable[str], labelled: bool) -> bool:
    """Tells whether these quantities are enough for `Trace.from_arrays`."""
    names = set(names)
    answers = "correct" in names or ("prediction" in names and labelled)
    return "confidence" in names and answers


def _require(table: _Table, given: Iterable[str], *keys: str) -> None:
    """Raises unless the table has what a trace needs, with all its columns named."""
    complete = _complete(given, "label" in table.columns)
    if complete and all(key in table.columns for key in keys):
        return
    raise JsplitError(
        "expected the columns sample, exit, confidence, and correct or prediction and "
        "label (long form), or confidence_1, confidence_2, ..., and correct_1, ... or "
        "prediction_1, ... and label (wide form), "
        f"got {shown(list(table.columns), _LONG)}"
    )


def _check_numbering(what: str, numbers: Sequence[int] | np.ndarray) -> None:
    first, count = numbers[0], len(numbers)
    if first not in (0, 1) or numbers[-1] != first + count - 1:
        raise JsplitError(
            f"{what} must number the exits 0, 1, 2, ... or 1, 2, 3, ... without gaps, "
            f"got {_listed(numbers)}"
        )


def _listed(numbers: Sequence[int] | np.ndarray, limit: int = 12) -> str:
    more = ", ..." if len(numbers) > limit else ""
    return ", ".join(f"{number:g}" for number in numbers[:limit]) + more


def _numbers(table: _Table, name: str) -> np.ndarray:
    """Returns a column as numbers, or names the first cell that is none."""
    cells = table.columns[name]
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "biuf":
        return cells
    # pandas and others write truth values as words.
    words = {"true": 1.0, "false": 0.0} if "correct" in name else {}
    numbers = np.empty(len(cells))
    for index, cell in enumerate(cells):
        try:
            word = words.get(str(cell).strip().lower())
            numbers[index] = float(cell) if word is None else word
        except (TypeError, ValueError) as error:
            raise JsplitError(
                f"row {table.rows[index]}, column {name} must be a number, "
                f"got {shown(cell)}"
            ) from error
    return numbers


def _whole(table: _Table, name: str) -> np.ndarray:
    numbers = _numbers(table, name)
    bad = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)))
    if bad.any():
        index = int(bad.argmax())
        raise JsplitError(
            f"row {table.rows[index]}, column {name} must be a whole number, "
            f"got {numbers[index]}"
        )
    return numbers
