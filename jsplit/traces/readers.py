"""Tables in files, CSV and its dialects, JSON lines, Parquet, as columns of cells.

Here: formats, compression, and in which row of the file a cell is. Not here: which
column holds what (`columns`), folding them into arrays (`tables`).
"""

import bz2
import contextlib
import csv
import gzip
import json
import lzma
import pathlib
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from jsplit.checks import shown
from jsplit.extras import naming
from jsplit.types import JsplitError

TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
COMPRESSED: dict[str, Callable[..., IO[Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
_DELIMITERS = (",", "\t", ";", "|", " ")
_SNIFFED = 1 << 16  # characters that tell the dialect


class Table(NamedTuple):
    """Columns of cells, all of the same length."""

    columns: Mapping[str, np.ndarray]
    rows: Sequence[int] | None  # where each row is in the file, None if not known


class _Dialect(NamedTuple):
    names: list[str]
    delimiter: str
    decimal: str


def split_name(path: pathlib.Path) -> tuple[str, str]:
    """Returns the name without endings, and the ending that tells the format.

    Example:
        >>> import pathlib
        >>> from jsplit.traces.readers import split_name
        >>> split_name(pathlib.Path("runs/imdb.CSV.gz"))
        ('imdb', '.csv')
    """
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return path.stem, path.suffix.lower()


def read_quickly(path: pathlib.Path) -> Table | None:
    """Returns a table as pandas or pyarrow reads it, or None if it takes more care.

    Raises:
        JsplitError: if the file cannot be read or is damaged.
        ImportError: if it is a Parquet file and pyarrow is not installed.
    """
    _, ending = split_name(path)
    if ending in PARQUET:
        return _read_parquet(path)
    if ending in JSON:
        return _read_json(path, lines=ending != ".json")
    return _read_text_quickly(path)


def read_text(path: pathlib.Path) -> Table:
    """Returns a table of text cell by cell, which knows the row of each.

    Raises:
        JsplitError: if the file cannot be read or is damaged, or a row has too many or
            too few cells.
    """
    cells: list[list[str]] = []
    rows: list[int] = []
    names, delimiter, decimal = _dialect(path)
    with _opened(path) as file:
        try:
            reader = _reader(file, delimiter)
            filled = filter(None, reader)  # blank lines come as empty lists
            next(filled)
            for row in filled:
                if len(row) != len(names):
                    raise JsplitError(
                        f"row {reader.line_num} must have {len(names)} cells like the "
                        f"first row, got {len(row)}"
                    )
                cells.append(row)
                rows.append(reader.line_num)
        except csv.Error as error:
            raise JsplitError(f"not a CSV file in UTF-8: {error}") from error
    columns = {
        name: np.array(column, object)
        for name, column in zip(names, zip(*cells, strict=True), strict=False)
    }
    if decimal == ",":
        comma = re.compile(r"\s*[-+]?\d*,\d+(e[-+]?\d+)?\s*", re.IGNORECASE)
        for column in columns.values():
            for index, cell in enumerate(column):
                if comma.fullmatch(cell):
                    column[index] = cell.replace(",", ".")
    return Table(columns, rows)


def _read_text_quickly(path: pathlib.Path) -> Table | None:
    import pandas

    names, delimiter, decimal = _dialect(path)
    # Before 3.1 pandas reads the last digit of a number wrong unless it is told not to.
    old = tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1)
    exact: dict[str, Any] = {"float_precision": "round_trip"} if old else {}
    with _opened(path) as file, warnings.catch_warnings():
        # It also drops cells that are too many, with no more than a warning.
        warnings.simplefilter("error")
        try:
            frame = pandas.read_csv(
                file,
                sep=delimiter,
                decimal=decimal,
                names=[f"{place}" for place in range(len(names))],
                header=0,
                index_col=False,
                na_filter=False,
                skipinitialspace=True,
                **exact,
            )
        except (ValueError, OverflowError, Warning):
            return None
    return Table(
        {name: frame[f"{place}"].to_numpy() for place, name in enumerate(names)}, None
    )


def _dialect(path: pathlib.Path) -> _Dialect:
    """Returns names, delimiter and decimal sign, judged by the head of the file."""
    with _opened(path) as file:
        text = file.read(_SNIFFED)
    first, _, rest = text.lstrip("\r\n").partition("\n")
    bare = re.sub(r'"[^"]*"', "", first.strip(" \r"))
    counts = [bare.count(delimiter) for delimiter in _DELIMITERS[:-1]]
    best = counts.index(max(counts)) if any(counts) else " " in bare and -1
    delimiter = _DELIMITERS[best]
    points = re.search(r"\d\.\d", rest)
    commas = delimiter != "," and re.search(r"\d,\d", rest)
    with _opened(path) as file:
        reader = _reader(file, delimiter)
        try:
            names = [name.strip() for name in next(filter(None, reader), [])]
        except csv.Error as error:
            raise JsplitError(f"not a CSV file in UTF-8: {error}") from error
    if not names:
        raise JsplitError("expected column names in the first row, got an empty file")
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise JsplitError(f"column names must differ, got {repeated[0]!r} twice")
    return _Dialect(names, delimiter, "," if commas and not points else ".")


def _reader(file: IO[str], delimiter: str) -> Any:
    return csv.reader(file, strict=True, delimiter=delimiter, skipinitialspace=True)


@contextlib.contextmanager
def _opened(path: pathlib.Path, mode: str = "rt") -> Iterator[IO[Any]]:
    """Opens a file for reading, through its compression; UTF-8, newlines as they are.

    Raises:
        JsplitError: if the system refuses, or the bytes are no such file.
    """
    opener = COMPRESSED.get(path.suffix.lower(), open)
    text = {"newline": "", "encoding": "utf-8-sig"} if "t" in mode else {}
    ending = path.suffix.lower()
    try:
        with opener(path, mode, **text) as file:
            yield file
    except UnicodeDecodeError as error:
        raise JsplitError(f"the text must be in UTF-8, got another: {error}") from error
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise JsplitError(f"the {ending} file is damaged or cut: {error}") from error
    except OSError as error:
        what = f"the {ending} file is damaged" if error.errno is None else "cannot read"
        raise JsplitError(f"{what}: {error.strerror or error}") from error


def _read_json(path: pathlib.Path, *, lines: bool) -> Table:
    """Returns the table of objects, one a line, or of a list or columns of them."""
    columns: dict[str, list[Any]] = {}
    rows: list[int] = []
    with _opened(path) as file:
        for row, item in _json_items(file, lines=lines):
            if not isinstance(item, dict):
                raise JsplitError(
                    f'row {row} must be a JSON object such as {{"label": 1}}, got '
                    f"{shown(item)}"
                )
            for name, value in item.items():
                # A name that comes late is missing in all rows before.
                column = columns.setdefault(name, [])
                column += [None] * (len(rows) - len(column))
                column.append(value)
            rows.append(row)
    for column in columns.values():
        column += [None] * (len(rows) - len(column))
    return Table({name: _cells(column) for name, column in columns.items()}, rows)


def _json_items(file: IO[str], *, lines: bool) -> Iterator[tuple[int, Any]]:
    number = 1
    try:
        if lines:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, json.loads(line)
            return
        whole = json.load(file)
    except (json.JSONDecodeError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and not lines:
            number = error.lineno
        raise JsplitError(f"line {number} is not JSON: {error}") from error
    if isinstance(whole, dict) and all(isinstance(x, list) for x in whole.values()):
        lengths = {len(column) for column in whole.values()}
        if len(lengths) > 1:
            raise JsplitError(
                f"all lists must have the same length, got {sorted(lengths)}"
            )
        names = list(whole)
        whole = [
            dict(zip(names, row, strict=True))
            for row in zip(*whole.values(), strict=True)
        ]
    if not isinstance(whole, list):
        raise JsplitError(
            "expected a list of JSON objects, or an object of lists, got "
            f"{shown(whole)}; a file of one object a line ends in .jsonl"
        )
    yield from enumerate(whole, 1)


def _cells(column: list[Any]) -> np.ndarray:
    """Returns an array of numbers where all cells are, of objects where not."""
    kinds = set(map(type, column))
    if kinds <= {int, float}:
        with contextlib.suppress(OverflowError):
            return np.array(column, float if float in kinds else np.int64)
    if kinds == {bool}:
        return np.array(column)
    cells = np.empty(len(column), object)
    cells[:] = column
    return cells


def _read_parquet(path: pathlib.Path) -> Table:
    with naming("reading Parquet"):
        import pyarrow
        import pyarrow.parquet
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise JsplitError(f"cannot read it: {error.strerror}") from error
        # What pyarrow says of damaged bytes may be an OSError too.
        reason = " ".join(str(error).split())
        raise JsplitError(f"not a Parquet file, or damaged ({reason})") from error
    names = Counter(table.column_names)
    columns = {}
    for place, name in enumerate(table.column_names):
        if names[name] > 1:
            raise JsplitError(f"column names must differ, got {name!r} twice")
        column = table.column(place)
        if column.null_count:
            # As numbers, cells without a value would become NaN.
            columns[name] = _cells(column.to_pylist())
        else:
            columns[name] = column.to_numpy()
    return Table(columns, range(1, table.num_rows + 1))
