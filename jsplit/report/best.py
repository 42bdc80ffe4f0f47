"""The best cells of a sweep as a table for the terminal.

Here: which columns there are, and how an interval is written. Not here: which cells
are the best (`results.best`).
"""

import math
from typing import TYPE_CHECKING, Any

from jsplit.report.cells import NONE, percent
from jsplit.results.labelled import expect
from jsplit.results.runs import Runs

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Group
else:
    DataFrame = Group = Any

LEVEL = 0.95
NUMBERS = ("mean", "low", "high", "num_cells", "num_best")


def render_best(best: DataFrame, metric: str, runs: Runs) -> Group:
    """Draws what `Runs.best` returns for the terminal, one line a row.

    Args:
        best: from `runs.best(metric, ...)`.
        metric: in which these cells are the best.
        runs: the sweep.

    Returns:
        What `rich.print` shows as a table and one line below it.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    expect("runs", runs, Runs)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        title=repr(runs),
        title_justify="left",
    )
    labels = [str(name) for name in best.columns if name not in NUMBERS]
    for name in labels:
        table.add_column(name, overflow="fold")
    for name in (metric, "may be best"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in best.to_dict("records"):
        texts = [_label(row[name]) for name in labels]
        interval = with_half_width(row["mean"], row["low"], row["high"])
        tied = f"{row['num_best']:,} of {row['num_cells']:,}"
        table.add_row(*texts, interval, tied)
    note = (
        f"The best of many is the luckiest: ± ({percent(LEVEL)}) allows for it. "
        "Confirm it afresh."
    )
    return Group(table, Text(note, style="dim"))


def with_half_width(mean: float, low: float, high: float) -> str:
    """Returns a number and half its symmetric interval, such as "0.4321 ±0.0012".

    Args:
        mean: the number.
        low: lower limit; NaN = unknown.
        high: upper limit.

    Example:
        >>> with_half_width(0.43208, 0.43088, 0.43328)
        '0.4321 ±0.0012'
    """
    half = (high - low) / 2
    if math.isnan(half):
        return f"{mean:.5g} ±?"
    if half <= 1e-9 * abs(mean):
        return f"{mean:.5g} ±0"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{mean:.{decimals}f} ±{half:.{decimals}f}"


def _label(value: Any) -> str:
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    return (
        NONE
        if is_missing
        else f"{value:.6g}"
        if isinstance(value, float)
        else str(value)
    )
