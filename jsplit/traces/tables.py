"""Tables of exits that other tools wrote, as arguments for a trace.

Here: folding tables in long, wide or list form into arrays [N, L]. Not here: formats
(`readers`), which column is which (`columns`), and whether the values make sense, which
`Trace` checks whatever their origin.
"""

import pathlib
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from jsplit.checks import shown
from jsplit.traces import readers
from jsplit.traces.cells import (
    BadCell,
    as_numbers,
    check_not_stopped,
    check_scalar,
    holds_lists,
    lists_of,
    names_of,
    numbers_of,
)
from jsplit.traces.columns import (
    LONG,
    PER_CLASS,
    Found,
    exit_key,
    find,
    is_enough,
    may_hold_confidences,
    order,
    unnamed,
)
from jsplit.traces.readers import Table
from jsplit.traces.stopping import check_complete, check_same_order, listed
from jsplit.types import JsplitError


class Imported(NamedTuple):
    """What a file holds, as arguments for a trace."""

    arguments: dict[str, Any]  # of `Trace.from_arrays` or another constructor
    exits: list[int | str]  # their numbers or names, empty if the file has none
    sources: dict[str, list[str]]  # names of the columns or arrays by argument


def read_table(path: pathlib.Path, stated: Mapping[str, str] | None = None) -> Imported:
    """Reads a table of exits: CSV and its dialects, JSON lines, Parquet.

    - Long form has one row per sample and exit, in any order: columns `sample`, `exit`,
      `confidence`, then `prediction` and `label`, or `correct`.
    - Wide form has one row per sample: columns `confidence_1` .. `confidence_L`, then
      `prediction_1` .. and `label`, or `correct_1` ..
    - List form, for JSON lines and Parquet, has one row per sample: `confidence` holds
      L numbers, as do `prediction` or `correct`. `logits` and `probabilities` hold L
      lists of C numbers.

    Confidence may lack where all policies do without. Optional are entropy,
    remote_confidence, and remote_correct or remote_prediction; cost, and seconds or
    milliseconds, from the start of a sample to each exit; and `sample` in wide and list
    form. Usual other names and capitals are known (see
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
        except BadCell:
            del table
    return _folded(readers.read_text(path), stated)


def _check_enough(given: Set[str], names: Sequence[str]) -> None:
    """Raises unless this is enough to make a trace of."""
    if is_enough(given):
        return
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
    given = {*found.whole, *found.by_exit}
    _check_enough(given, list(table.columns))
    if (
        not given & {"confidence", *PER_CLASS}
        and (stated or {}).get("confidence") != ""
    ):
        _refuse_unnamed(table, found)
    if "exit" in found.whole and found.by_exit.keys() <= set(PER_CLASS):
        return _from_long(table, found)
    return _from_rows(table, found)


def _refuse_unnamed(table: Table, found: Found) -> None:
    """Raises if a column that is not used looks like confidences."""
    used = {name for names in found.whole.values() for name in names}
    used |= {name for exits in found.by_exit.values() for name in exits.values()}
    for name, cells in table.columns.items():
        if name not in used and may_hold_confidences(as_numbers(cells)):
            raise unnamed(name)


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
        check_same_order(sample, exit_, exits)
    else:
        place = {key: rank for rank, key in enumerate(ranked)}
        exit_ = np.array([place[key] for key in exits])[exit_]
        exits = ranked
    # Bad cells first: they are why a row seems to be missing.
    numbers: dict[str, dict[str, np.ndarray]] = {}
    for quantity, names in {**found.whole, **found.by_exit}.items():
        if quantity not in ("sample", "exit"):
            columns = list(names.values()) if isinstance(names, dict) else names
            check_scalar(table, columns)
            cells = {name: numbers_of(table, name, quantity) for name in columns}
            numbers[quantity] = cells
    check_complete(sample, exit_, samples, exits)
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
            if not all(holds_lists(table, name) for name in names):
                raise JsplitError(
                    f"columns {names[0]}, ... may be classes or exits: a table of "
                    f"{quantity} needs the columns sample and exit, or confidences and "
                    "predictions in place of them"
                )
            cells = [lists_of(table, name) for name in names]
        else:
            check_scalar(table, names)
            check_not_stopped(table, quantity, names)
            cells = [numbers_of(table, name, quantity) for name in names]
        arguments[quantity] = np.stack(cells, axis=1)
    for quantity, names in found.whole.items():
        if quantity == "sample":
            arguments[quantity] = names_of(table, names[0], quantity)
        elif quantity == "label":
            arguments[quantity] = one_of(
                quantity, {name: numbers_of(table, name, quantity) for name in names}
            )
        elif quantity not in arguments and quantity != "exit":
            held = [name for name in names if holds_lists(table, name)]
            lists = {name: lists_of(table, name) for name in held}
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
                f"{listed(keys)}, got {listed(list(columns))}"
            )
    return keys


def _groups(table: Table, name: str, quantity: str) -> tuple[Any, np.ndarray]:
    """Returns the different cells, sorted if they are numbers, and which each row has.

    Cells that are no numbers are in the order of the file.
    """
    import pandas

    cells = names_of(table, name, quantity)
    codes, groups = pandas.factorize(cells, sort=cells.dtype.kind in "iu")
    return np.asarray(groups, cells.dtype), codes
