"""Results as files that other programs read: CSV and Parquet.

Here: summaries and data frames, in full precision. Not here: tables for people
(`tables`).
"""

import csv
import itertools
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit.extras import naming
from jsplit.results.labelled import expect
from jsplit.results.runs_summary import RunsSummary
from jsplit.results.tables import ConditionSummary, ExactValues, Recovery, Summary
from jsplit.writing import replacing

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any

KINDS = (Summary, ConditionSummary, ExactValues, Recovery, RunsSummary)
Written = Summary | ConditionSummary | ExactValues | Recovery | RunsSummary


def to_csv(table: Written | DataFrame, path: str | os.PathLike[str]) -> None:
    """Writes every number of a summary, one row per policy (, condition) and metric.

    Columns: policy (, condition), metric, then the variables of the summary in full
    precision (reading a field back gives the same float64); "nan" = no such number. A
    summary of a sweep has its axes first.

    Args:
        table: any summary, or a data frame such as that of `Runs.best`, which is
            written as it is but for its index.
        path: file to write; an existing one is replaced.

    Raises:
        JsplitError: if the file cannot be written.
    """
    frame = _frame(table)
    if frame is not None:
        with replacing(path) as temporary:
            frame.to_csv(temporary, index=False, na_rep="nan", lineterminator="\n")
        return
    data = expect("table", table, *KINDS).data
    keys = [str(name) for name in data[next(iter(data.data_vars))].dims]
    fields = [str(name) for name in data.data_vars if set(keys) == {*data[name].dims}]
    numbers = np.stack([data[name].transpose(*keys).values for name in fields], -1)
    labels = itertools.product(*(data[name].values for name in keys))
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*keys, *fields])
        for label, row in zip(labels, numbers.reshape(-1, len(fields)), strict=True):
            writer.writerow([*label, *map(float, row)])


def to_parquet(table: Written | DataFrame, path: str | os.PathLike[str]) -> None:
    """Writes what `to_csv` writes as a Parquet file.

    A column of numbers and texts, such as the best values of unlike axes, has texts.

    Args:
        table: any summary or data frame, as for `to_csv`.
        path: file to write; an existing one is replaced.

    Raises:
        JsplitError: if the file cannot be written.
        ImportError: if pyarrow is not installed; the message names the extra.
    """
    with naming("jsplit.report.to_parquet"):
        import pyarrow  # noqa: F401  # pandas would not say which extra brings it
    frame = _frame(table)
    if frame is None:
        frame = expect("table", table, *KINDS).to_dataframe().reset_index()
    mixed = [str(name) for name in frame.columns if _is_mixed(frame[name])]
    frame = frame.assign(**{name: frame[name].map(_text) for name in mixed})
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, engine="pyarrow")


def _frame(table: Any) -> DataFrame | None:
    return table if hasattr(table, "to_parquet") else None


def _is_mixed(column: Any) -> bool:
    """Tells whether a column has texts and other values, which Parquet cannot hold."""
    is_text = [isinstance(value, str) for value in column[column.notna()]]
    return any(is_text) and not all(is_text)


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)
