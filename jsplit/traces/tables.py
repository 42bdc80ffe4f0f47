"""Tables of exits that other tools wrote, as arguments for a trace.

Here: folding tables in long, wide or list form into arrays [N, L]. Not here: formats
(`readers`), which column is which (`columns`), and whether the values make sense, which
`Trace` checks whatever their origin.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from jsplit.checks import shown
from jsplit.traces import readers
from jsplit.traces.columns import (
    LONG,
    PER_CLASS,
    Found,
    exit_key,
    find,
    has_answers,
    is_enough,
    order,
)
from jsplit.traces.readers import Table
from jsplit.types import JsplitError

MISSING = ("", "nan", "none", "null", "na")  # text of a cell that names no sample


class Imported(NamedTuple):
    """What a file holds, as arguments for a trace."""

    arguments: dict[str, Any]  # of `Trace.from_arrays` or another constructor
    exits: list[int | str]  # their numbers or names, empty if the file has none
    sources: dict[str, list[str]]  # names of the columns or arrays by argument


class _BadCell(Exception):
    """A cell without the row that it is in, which only a slower reader knows."""


def read_table(path: pathlib.Path, stated: Mapping[str, str] | None = None) -> Imported:
    """Reads a table of exits: CSV and its dialects, JSON lines, Parquet.

    - Long form has one row per sample and exit, in any order: columns `sample`, `exit`,
      `confidence`, then `prediction` and `label`, or `correct`.
    - Wide form has one row per sample: columns `confidence_1` .. `confidence_L`, then
      `prediction_1` .. and `label`, or `correct_1` ..
    - List form, for JSON lines and Parquet, has one row per sample: `confidence` holds
      L numbers, as do `prediction` or `correct`. `logits` and `probabilities` hold L
      lists of C numbers.

    Optional are entropy, remote_confidence, and remote_correct or remote_prediction,
    and `sample` in wide and list form. Usual other names and capitals are known (see
    `columns.find`). Other columns are ignored.

    Args:
        path: the file, with an ending of `readers`.
        stated: names of columns by what they hold, see `columns.find`.

    Returns:
        Arrays [N, L], label [N], sample [N]. Samples are sorted by number (long form,
        numbered samples) or as in the file; exits are sorted by number, or as in the
        file if they have names. Numbers of text are float64, those of Parquet keep
        their type.

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
        ...     read_table(path).arguments["confidence"]
        array([[0.6, 0.9]])
    """
    table = readers.read_quickly(path)
    if table is not None:
        try:
            return _folded(table, stated)
        except _BadCell:
            del table
    return _folded(readers.read_text(path), stated)


def _check_enough(given: Set[str], names: Sequence[str]) -> None:
    """Raises unless this is enough to make a trace of."""
    if is_enough(given):
        return
    if has_answers(given):
        raise JsplitError(
            "expected columns of confidence, which every policy is rewarded by, got "
            f"{shown(list(names), LONG)}; say which they are with columns"
        )
    raise JsplitError(
        "expected the columns sample, exit, confidence, and correct or prediction and "
        "label (long form), or confidence_1, confidence_2, ..., and correct_1, ... or "
        "prediction_1, ... and label (wide form), "
        f"got {shown(list(names), LONG)}; say which is which with columns"
    )


def one_of(quantity: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the array that several names hold, or raises if they differ."""
    (name, array), *others = arrays.items()
    for other, same in others:
        if not np.array_equal(array, same):
            raise JsplitError(
                f"{quantity} must be in one place, got {name!r} and {other!r}, which "
                "differ; say which with columns"
            )
    return array


def _folded(table: Table, stated: Mapping[str, str] | None) -> Imported:
    found = find(table.columns, stated)
    count = len(next(iter(table.columns.values()), ()))
    if not count:
        raise JsplitError("expected at least one row below the column names, got none")
    _check_enough({*found.whole, *found.by_exit}, list(table.columns))
    if "exit" in found.whole and found.by_exit.keys() <= set(PER_CLASS):
        return _from_long(table, found)
    return _from_rows(table, found)


def _from_long(table: Table, found: Found) -> Imported:
    if "sample" not in found.whole:
        raise JsplitError(
            "a table with one row per sample and exit needs the column sample, got "
            f"{shown(list(table.columns), LONG)}; say which it is with columns"
        )
    samples, sample = _groups(table, found.whole["sample"][0], "sample")
    exits, exit_ = _groups(table, found.whole["exit"][0], "exit")
    exits = [exit_key(one) for one in exits]
    ranked = order(exits)
    if ranked is None:
        _check_same_order(sample, exit_, exits)
    else:
        place = {key: rank for rank, key in enumerate(ranked)}
        exit_ = np.array([place[key] for key in exits])[exit_]
        exits = ranked
    # Bad cells first: they are why a row seems to be missing.
    numbers: dict[str, dict[str, np.ndarray]] = {}
    for quantity, names in {**found.whole, **found.by_exit}.items():
        if quantity not in ("sample", "exit"):
            columns = list(names.values()) if isinstance(names, dict) else names
            _check_scalar(table, columns)
            cells = {name: _numbers(table, name, quantity) for name in columns}
            numbers[quantity] = cells
    _check_complete(sample, exit_, samples, exits)
    position = sample * len(exits) + exit_

    def fold(cells: np.ndarray) -> np.ndarray:
        folded = np.empty_like(cells)
        folded[position] = cells
        return folded.reshape(len(samples), len(exits))

    arguments: dict[str, Any] = {"sample": samples}
    for quantity, columns in numbers.items():
        if quantity in found.by_exit:  # numbers of classes here, not of exits
            layers = [fold(cells) for cells in columns.values()]
            arguments[quantity] = np.stack(layers, axis=-1)
        else:
            arguments[quantity] = fold(one_of(quantity, columns))
    if "label" in arguments:
        labels = arguments["label"]
        differs = (labels != labels[:, :1]).any(axis=1)
        if differs.any():
            raise JsplitError(
                "label must be the same in all rows of a sample, got different ones "
                f"for sample {samples[differs.argmax()]}"
            )
        arguments["label"] = labels[:, 0]
    sources = {name: list(columns) for name, columns in numbers.items()}
    return Imported(arguments, exits, {**found.whole, **sources})


def _from_rows(table: Table, found: Found) -> Imported:
    """Folds a table with one row per sample."""
    keys = _common_exits(found)
    arguments: dict[str, Any] = {}
    sources = dict(found.whole)
    for quantity, columns in found.by_exit.items():
        names = list(columns.values())
        sources[quantity] = names
        if quantity in PER_CLASS:
            if not all(_holds_lists(table, name) for name in names):
                raise JsplitError(
                    f"columns {names[0]}, ... may be classes or exits: a table of "
                    f"{quantity} needs the columns sample and exit, or confidences and "
                    "predictions in place of them"
                )
            cells = [_lists(table, name) for name in names]
        else:
            _check_scalar(table, names)
            _check_not_stopped(table, quantity, names)
            cells = [_numbers(table, name, quantity) for name in names]
        arguments[quantity] = np.stack(cells, axis=1)
    for quantity, names in found.whole.items():
        if quantity == "sample":
            arguments[quantity] = _names(table, names[0], quantity)
        elif quantity == "label":
            arguments[quantity] = one_of(
                quantity, {name: _numbers(table, name, quantity) for name in names}
            )
        elif quantity not in arguments and quantity != "exit":
            lists = {
                name: _lists(table, name) for name in names if _holds_lists(table, name)
            }
            if lists:
                arguments[quantity] = one_of(quantity, lists)
            sources[quantity] = list(lists)
    _check_enough(arguments.keys(), list(table.columns))
    return Imported(arguments, keys, sources)


def _common_exits(found: Found) -> list[int | str]:
    if not found.by_exit:
        return []
    first = "confidence" if "confidence" in found.by_exit else next(iter(found.by_exit))
    keys = list(found.by_exit[first])
    for quantity, columns in found.by_exit.items():
        if list(columns) != keys:
            raise JsplitError(
                f"columns {quantity}_* must be numbered like {first}_*, "
                f"{_listed(keys)}, got {_listed(list(columns))}"
            )
    return keys


def _groups(table: Table, name: str, quantity: str) -> tuple[Any, np.ndarray]:
    """Returns the different cells, sorted if they are numbers, and which each row has.

    Cells that are no numbers are in the order of the file.
    """
    import pandas

    cells = _names(table, name, quantity)
    codes, groups = pandas.factorize(cells, sort=cells.dtype.kind in "iu")
    return np.asarray(groups, cells.dtype), codes


def _names(table: Table, name: str, quantity: str) -> np.ndarray:
    """Returns cells that name samples or exits: integers, or text if one is none."""
    cells = table.columns[name]
    if cells.dtype.kind in "iu":
        return cells.astype(np.int64) if cells.dtype != np.uint64 else cells
    if cells.dtype.kind == "f":
        bad = ~np.isfinite(cells)
        if bad.any():
            raise _wrong(table, name, int(bad.argmax()), "a whole number or a name")
        if (cells == np.floor(cells)).all() and (np.abs(cells) < 2**53).all():
            return cells.astype(np.int64)
    texts = [cell if isinstance(cell, str) else str(cell) for cell in cells.tolist()]
    texts = [text.strip() for text in texts]
    for index, text in enumerate(texts):
        if text.lower() in MISSING:
            raise _wrong(table, name, index, f"a whole number or a name of {quantity}")
    if all(re.fullmatch(r"\d{1,18}", text, re.ASCII) for text in texts):
        return np.array([int(text) for text in texts], np.int64)
    if cells.dtype.kind == "O" and all(_is_number(text) for text in texts):
        numbers = np.array([float(text) for text in texts])
        if (numbers == np.floor(numbers)).all() and (np.abs(numbers) < 2**53).all():
            return numbers.astype(np.int64)
    return np.array(texts, object)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d{1,300}(\.\d*)?", text, re.ASCII) is not None


def _check_same_order(
    sample: np.ndarray, exit_: np.ndarray, exits: Sequence[int | str]
) -> None:
    """Raises unless every sample has its exits, which are names, in one order."""
    rows = np.argsort(sample, kind="stable")
    later = (np.diff(sample[rows]) == 0) & (np.diff(exit_[rows]) < 0)
    if later.any():
        raise JsplitError(
            "exits must have numbers if their rows are not in order, got "
            f"{_listed(exits)}"
        )


def _check_complete(
    sample: np.ndarray,
    exit_: np.ndarray,
    samples: Any,
    exits: Sequence[int | str],
) -> None:
    """Raises unless every sample and exit has one row."""
    num_exits, total = len(exits), len(samples) * len(exits)
    present, counts = np.unique(sample * num_exits + exit_, return_counts=True)
    why = ""
    if len(present) < len(sample):
        wrong, problem = present[(counts > 1).argmax()], "more than one row"
    elif len(present) < total:
        # The first position that does not hold its own number: finds the gap without
        # an array [N, L], which the numbers of a wild table could make too large.
        gaps = np.append(present, total) != np.arange(len(present) + 1)
        wrong, problem = gaps.argmax(), "no row"
        rows = np.bincount(sample, minlength=len(samples))
        deepest = np.zeros(len(samples), np.int64)
        np.maximum.at(deepest, sample, exit_ + 1)
        if len(present) == len(samples):
            why = stopped_early("each sample has the exit alone that it took")
        elif (deepest == rows).all():
            short = int((deepest < num_exits).sum())
            why = stopped_early(
                f"{short} of {len(samples)} samples end before the last"
            )
    else:
        return
    row, column = divmod(int(wrong), num_exits)
    raise JsplitError(
        f"every sample and exit must have one row, got {problem} for sample "
        f"{samples[row]}, exit {exits[column]}{why}"
    )


def stopped_early(how: str) -> str:
    """Returns why the log of a run that stopped early is no trace."""
    return (
        f": {how}, as in the log of a run that stopped early, which lacks what later "
        "exits would have said, so no other policy can be replayed on it; record every "
        "exit for every sample"
    )


def _check_not_stopped(table: Table, quantity: str, names: Sequence[str]) -> None:
    """Raises if the cells of later exits are empty, as in a log of a real run."""
    empty = np.zeros((len(table.columns[names[0]]), len(names)), bool)
    for place, name in enumerate(names):
        cells = table.columns[name]
        if cells.dtype.kind == "f":
            empty[:, place] = np.isnan(cells)
        elif cells.dtype.kind not in "biu":
            texts = [str(cell).strip().lower() for cell in cells.tolist()]
            empty[:, place] = [text in MISSING for text in texts]
    rows = np.flatnonzero(empty[:, -1])
    if rows.size and not empty[:, 0].any() and (empty[:, :-1] <= empty[:, 1:]).all():
        index = int(rows[0])
        raise _wrong(
            table,
            names[int(empty[index].argmax())],
            index,
            "a number",
            stopped_early(
                f"{rows.size} of {len(empty)} samples have no {quantity} of later exits"
            ),
        )


def _listed(keys: Sequence[int | str], limit: int = 12) -> str:
    more = ", ..." if len(keys) > limit else ""
    return ", ".join(f"{key}" for key in keys[:limit]) + more


def _wrong(table: Table, name: str, index: int, rule: str, why: str = "") -> Exception:
    """Returns the error about a cell; one without a known row is for a slow reader."""
    if table.rows is None:
        return _BadCell()
    return JsplitError(
        f"row {table.rows[index]}, column {name} must be {rule}, "
        f"got {shown(table.columns[name][index])}{why}"
    )


def _numbers(table: Table, name: str, quantity: str) -> np.ndarray:
    """Returns a column as numbers, or names the first cell that is none."""
    cells = table.columns[name]
    if cells.dtype.kind not in "biuf":
        cells = _parsed(table, name, quantity)
    if quantity == "label" and cells.dtype.kind == "f" and np.isnan(cells).any():
        raise _wrong(table, name, int(np.isnan(cells).argmax()), "a number")
    return cells


def _parsed(table: Table, name: str, quantity: str) -> np.ndarray:
    """Returns the numbers that cells of text are."""
    cells = table.columns[name]
    # pandas and others write truth values as words.
    words = {"true": 1.0, "false": 0.0} if "correct" in quantity else {}
    numbers = np.empty(len(cells))
    for index, cell in enumerate(cells):
        try:
            word = words.get(str(cell).strip().lower())
            numbers[index] = float(cell) if word is None else word
        except (TypeError, ValueError, OverflowError):
            raise _wrong(table, name, index, "a number") from None
    return numbers


def _holds_lists(table: Table, name: str) -> bool:
    cells = table.columns[name]
    return cells.dtype.kind == "O" and isinstance(cells[0], list | tuple | np.ndarray)


def _check_scalar(table: Table, names: Sequence[str]) -> None:
    for name in names:
        if _holds_lists(table, name):
            raise _wrong(table, name, 0, "a number")


def _lists(table: Table, name: str) -> np.ndarray:
    """Returns a column of lists as one array, or names the first that is another."""
    cells = table.columns[name]
    shapes = []
    for index, cell in enumerate(cells):
        try:
            shape = np.shape(cell if cell is not None else ())
            if cell is None or not shape or isinstance(cell, str):
                raise ValueError
            if isinstance(cell, np.ndarray) and cell.dtype == object:
                shape = np.shape([*cell])
        except ValueError:
            raise _wrong(table, name, index, "a list of numbers") from None
        shapes.append(shape)
    lengths = np.array([int(shape[0]) for shape in shapes])
    short = np.flatnonzero(lengths < lengths.max())
    if short.size:
        raise _wrong(
            table,
            name,
            int(short[0]),
            f"a list of {lengths.max()} numbers, one per exit",
            stopped_early(f"{short.size} of {lengths.size} lists are shorter"),
        )
    try:
        array = np.array([list(cell) for cell in cells])
    except ValueError:
        odd = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        raise _wrong(table, name, odd, f"a list of shape {shapes[0]}") from None
    if array.dtype.kind not in "biuf":
        odd = next(
            i
            for i, cell in enumerate(cells)
            if np.asarray([*cell]).dtype.kind not in "biuf"
        )
        raise _wrong(table, name, odd, "a list of numbers")
    return array
