"""Cells of a table as numbers, names and lists, or the first that is none.

Here: what a cell says, and which one is wrong. Not here: which columns hold what
(`columns`), folding them into arrays (`tables`), in which row a cell is (`readers`).
"""

import re
from collections.abc import Sequence

import numpy as np

from jsplit.checks import shown
from jsplit.traces.readers import Table
from jsplit.traces.stopping import stopped_early
from jsplit.types import JsplitError

MISSING = ("", "nan", "none", "null", "na")  # text of a cell that holds nothing


class BadCell(Exception):
    """A cell without the row that it is in, which only a slower reader knows."""


def wrong(table: Table, name: str, index: int, rule: str, why: str = "") -> Exception:
    """Returns the error about a cell; one without a known row is for a slow reader."""
    if table.rows is None:
        return BadCell()
    return JsplitError(
        f"row {table.rows[index]}, column {name} must be {rule}, "
        f"got {shown(table.columns[name][index])}{why}"
    )


def names_of(table: Table, name: str, quantity: str) -> np.ndarray:
    """Returns cells that name samples or exits: integers, or text if one is none."""
    cells = table.columns[name]
    if cells.dtype.kind in "iu":
        return cells.astype(np.int64) if cells.dtype != np.uint64 else cells
    if cells.dtype.kind == "f":
        bad = ~np.isfinite(cells)
        if bad.any():
            raise wrong(table, name, int(bad.argmax()), "a whole number or a name")
        if (cells == np.floor(cells)).all() and (np.abs(cells) < 2**53).all():
            return cells.astype(np.int64)
    texts = [cell if isinstance(cell, str) else str(cell) for cell in cells.tolist()]
    texts = [text.strip() for text in texts]
    for index, text in enumerate(texts):
        if text.lower() in MISSING:
            raise wrong(table, name, index, f"a whole number or a name of {quantity}")
    if all(re.fullmatch(r"\d{1,18}", text, re.ASCII) for text in texts):
        return np.array([int(text) for text in texts], np.int64)
    if cells.dtype.kind == "O" and all(_is_number(text) for text in texts):
        numbers = np.array([float(text) for text in texts])
        if (numbers == np.floor(numbers)).all() and (np.abs(numbers) < 2**53).all():
            return numbers.astype(np.int64)
    return np.array(texts, object)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d{1,300}(\.\d*)?", text, re.ASCII) is not None


def numbers_of(table: Table, name: str, quantity: str) -> np.ndarray:
    """Returns a column as numbers, or names the first cell that is none."""
    cells = table.columns[name]
    if cells.dtype.kind not in "biuf":
        cells = _parsed(table, name, quantity)
    if quantity == "label" and cells.dtype.kind == "f" and np.isnan(cells).any():
        raise wrong(table, name, int(np.isnan(cells).argmax()), "a number")
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
            raise wrong(table, name, index, "a number") from None
    return numbers


def as_numbers(cells: np.ndarray) -> np.ndarray:
    """Returns cells as numbers, or none of them if one is no number."""
    if cells.dtype.kind != "O":
        return cells
    try:
        return np.array([*cells], float).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)


def holds_lists(table: Table, name: str) -> bool:
    """Tells whether the cells of a column are lists."""
    cells = table.columns[name]
    return cells.dtype.kind == "O" and isinstance(cells[0], list | tuple | np.ndarray)


def check_scalar(table: Table, names: Sequence[str]) -> None:
    """Raises if the cells of a column are lists."""
    for name in names:
        if holds_lists(table, name):
            raise wrong(table, name, 0, "a number")


def lists_of(table: Table, name: str) -> np.ndarray:
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
            raise wrong(table, name, index, "a list of numbers") from None
        shapes.append(shape)
    lengths = np.array([int(shape[0]) for shape in shapes])
    short = np.flatnonzero(lengths < lengths.max())
    if short.size:
        raise wrong(
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
        raise wrong(table, name, odd, f"a list of shape {shapes[0]}") from None
    if array.dtype.kind not in "biuf":
        odd = next(
            i
            for i, cell in enumerate(cells)
            if np.asarray([*cell]).dtype.kind not in "biuf"
        )
        raise wrong(table, name, odd, "a list of numbers")
    return array


def check_not_stopped(table: Table, quantity: str, names: Sequence[str]) -> None:
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
        raise wrong(
            table,
            names[int(empty[index].argmax())],
            index,
            "a number",
            stopped_early(
                f"{rows.size} of {len(empty)} samples have no {quantity} of later exits"
            ),
        )
