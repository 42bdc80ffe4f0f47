"""A summary as a table: for the terminal (rich), a paper (Markdown), a file (CSV).

Here: which numbers stand where, how many decimals they get, and the caption that
says what the intervals cover. Not here: any statistics (`stats`) or labelled arrays
(`results`); a summary is only read. Called by `cli`, users and `report.figures`.

Terminal and Markdown show the same cells, made once by `layout`.
"""

import contextlib
import csv
import json
import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jsplit.results import METRICS, privileged_policies
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from rich.table import Table

HEADERS = {
    "policy": "policy",
    "accuracy": "accuracy %",
    "difference": "vs baseline, points",
    "cost": "cost",
    "cost_change": "cost change %",
    "offloaded": "offload %",
    "regret": "regret",
    "correlation": "corr.",
}
EXACT = "(exact)"
UNKNOWN = "[?]"
NONE = "–"
DAGGER = "†"
STAR = "*"
SIGNIFICANT_DIGITS = 5

CSV_FIELDS = (
    "mean",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "correlation",
    "p_value",
    "best_set",
)


class Cell(NamedTuple):
    """One entry as text: a value and, where it has one, its interval."""

    value: str
    interval: str = ""


class Row(NamedTuple):
    """One policy: its name, how it is marked, and its cells after the name."""

    policy: str
    is_baseline: bool
    is_privileged: bool
    cells: list[Cell]  # in the order of `headers`, without the policy


class Estimates(NamedTuple):
    """A column of numbers before rounding; all [policies] float."""

    mean: np.ndarray  # NaN = no number
    low: np.ndarray  # NaN = unknown
    high: np.ndarray  # NaN = unknown


def render(table: Any) -> "Table":
    """Draws a summary for the terminal, readable from 100 columns on.

    Args:
        table: The Dataset that `jsplit.summarize` returns.

    Returns:
        A table that `rich.print` shows; intervals stand on a second line.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        caption=Text(caption(table), style="dim"),
        caption_justify="left",
    )
    for number, header in enumerate(headers(table)):
        is_name = number == 0
        # One word a line: the numbers, not the header, decide the width.
        drawn.add_column(
            "\n".join(header.split()),
            justify="left" if is_name else "right",
            no_wrap=is_name,
        )
    for row in layout(table):
        name = Text(_name(row), style="bold" if row.is_baseline else "")
        cells = [Text.assemble(c.value, ("\n" + c.interval, "dim")) for c in row.cells]
        drawn.add_row(name, *cells)
    return drawn


def to_markdown(table: Any) -> str:
    """Writes a summary as a Markdown table with its caption underneath.

    Args:
        table: The Dataset that `jsplit.summarize` returns.

    Returns:
        Text that ends with a newline: the table, an empty line, the caption.
    """
    titles = headers(table)
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    for row in layout(table):
        # Names hold underscores, which Markdown may read as emphasis.
        name = _name(row).replace("_", r"\_").replace("|", r"\|")
        name = f"**{name}**" if row.is_baseline else name
        lines.append([name, *(" ".join(filter(None, cell)) for cell in row.cells)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{body}\n\n{caption(table)}\n"


def to_csv(table: Any, path: str | os.PathLike[str]) -> None:
    """Writes every number of a summary, one row per policy and metric.

    Columns: policy, metric, then the variables of the summary in full precision
    (reading a field back gives the same float64); "nan" = no such number.

    Args:
        table: The Dataset that `jsplit.summarize` returns.
        path: File to write; an existing one is replaced.

    Raises:
        JsplitError: If the file cannot be written.
    """
    policies, metrics = table["policy"].values, table["metric"].values
    numbers = np.stack(
        [table[name].transpose("policy", "metric").values for name in CSV_FIELDS], -1
    )
    with writing(path), open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["policy", "metric", *CSV_FIELDS])
        for policy, rows in zip(policies, numbers, strict=True):
            for metric, row in zip(metrics, rows, strict=True):
                writer.writerow([policy, metric, *map(float, row)])


def headers(table: Any) -> list[str]:
    """Returns the titles of the columns: `HEADERS`, then those of bills, if any."""
    extra = [
        name.replace("_", " ") + " %" * name.endswith("_late")
        for name in _bill_metrics(table)
    ]
    return [*HEADERS.values(), *extra]


def _bill_metrics(table: Any) -> list[str]:
    return [name for name in map(str, table["metric"].values) if name not in METRICS]


def layout(table: Any) -> list[Row]:
    """Turns a summary into the text of every cell, in the order of its policies.

    A column has one number of decimals: enough to show the typical half-width with
    two digits, but no more than five digits of the typical value. An interval of
    width zero reads "(exact)", an unknown one "[?]", a missing number "–". Thousands
    are not separated, since an interval already holds a comma.

    Args:
        table: The Dataset that `jsplit.summarize` returns.

    Returns:
        One Row per policy, its cells in the order of `headers` without the name.
    """
    baseline, privileged = table.attrs["baseline"], privileged_policies(table)
    accuracy = _estimates(table, "accuracy", factor=100)
    decimals = _decimals(accuracy)
    columns = {
        "accuracy": _starred(_column(accuracy, decimals), table, "accuracy"),
        "difference": _column(
            _estimates(table, "accuracy", prefix="difference", factor=100),
            decimals,
            sign="+",
        ),
        "cost": _column(_estimates(table, "cost")),
        "cost_change": _column(
            _estimates(table, "cost_change"), 1, sign="+", show_interval=False
        ),
        "offloaded": _column(
            _estimates(table, "offloaded", factor=100), 1, show_interval=False
        ),
        "regret": _column(_estimates(table, "pseudo_regret")),
        "correlation": _correlations(table),
    }
    for metric in _bill_metrics(table):
        factor = 100 if metric.endswith("_late") else 1
        columns[metric] = _column(_estimates(table, metric, factor=factor))
    of_baseline = {
        "difference": Cell("baseline"),
        "cost_change": Cell(NONE),
        "correlation": Cell(NONE),
    }
    rows = []
    for index, policy in enumerate(table["policy"].values.astype(str).tolist()):
        cells = {key: column[index] for key, column in columns.items()}
        if policy == baseline:
            cells |= of_baseline
        rows.append(
            Row(policy, policy == baseline, policy in privileged, [*cells.values()])
        )
    return rows


def caption(table: Any) -> str:
    """Says what the numbers of a summary mean and what its intervals cover.

    Args:
        table: The Dataset that `jsplit.summarize` returns.

    Returns:
        One paragraph of full sentences.
    """
    attrs = table.attrs
    sentences = [
        f"{attrs['dataset']}: {replicas(attrs['num_replicas'])} of "
        f"{attrs['horizon']} steps, stream {attrs['stream']}, protocol "
        f"{attrs['protocol']}.",
        f"[low, high]: {percent(attrs['level'])} intervals. What they cover: "
        f"{attrs['covers']}.",
        f"Cost is the mean per step in {attrs['cost_unit']}, its change is relative to "
        f"{attrs['baseline']}; regret is pseudo-regret after the last step; corr. is "
        "the correlation over replicas of a policy's accuracy with the baseline's.",
    ]
    if "drift" in attrs:
        names = ", ".join(json.loads(attrs["conditions"]))
        sentences.insert(1, f"Conditions {names}, drift {attrs['drift']}.")
    deadlines = json.loads(attrs.get("deadlines", "{}"))
    if deadlines:
        late = ", ".join(f"{bill} above {limit:g}" for bill, limit in deadlines.items())
        sentences.append(f"Late: {late}.")
    shown = [cell for row in layout(table) for cell in row.cells]
    if any(cell.interval == EXACT for cell in shown):
        sentences.append(f"{EXACT}: the same in every replica.")
    if any(cell.interval == UNKNOWN for cell in shown):
        sentences.append(f"{UNKNOWN}: these replicas cannot tell its error.")
    if any(cell.value.endswith(STAR) for cell in shown):
        sentences.append(
            f"{STAR}: cannot be told from the best of all at "
            f"{percent(attrs['level'])}, all pairs compared at once."
        )
    if privileged_policies(table):
        sentences.append(
            f"{DAGGER} uses what no policy can know; a bound, not a competitor."
        )
    return " ".join(sentences)


def replicas(count: int) -> str:
    """Returns a number of replicas as text, 1 as "1 replica"."""
    return f"{count} replica{'s' * (count != 1)}"


def percent(level: float) -> str:
    """Returns a level as text, 0.95 as "95 %"."""
    return f"{100 * level:g} %"


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns a failure of the file system into one line that names the file.

    Args:
        path: What the body of the `with` statement writes.

    Raises:
        JsplitError: If the body raises OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(f"cannot write {os.fspath(path)}: {reason}") from error


def _name(row: Row) -> str:
    """Returns the policy as shown, privileged ones with a dagger."""
    return row.policy + DAGGER * row.is_privileged


def _estimates(
    table: Any, metric: str, prefix: str = "", factor: float = 1.0
) -> Estimates:
    """Reads the mean (or, with a prefix, the difference) of a metric and its limits."""
    names = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else Estimates._fields
    rows = table.sel(metric=metric)
    return Estimates(*(factor * rows[name].values for name in names))


def _column(
    column: Estimates,
    decimals: int | None = None,
    *,
    sign: str = "",
    show_interval: bool = True,
) -> list[Cell]:
    """Rounds a column; `sign` is "+" for differences."""
    if decimals is None:
        decimals = _decimals(column)

    def text(number: float) -> str:
        # Adding 0.0 turns the -0.0 that rounding may leave into 0.0.
        rounded = round(number, decimals) + 0.0
        return format(rounded, f"{sign if rounded else ''}.{decimals}f")

    cells = []
    for mean, low, high in zip(*(part.tolist() for part in column), strict=True):
        if math.isnan(mean):
            cells.append(Cell(NONE))
        elif not show_interval:
            cells.append(Cell(text(mean)))
        elif math.isnan(low) or math.isnan(high):
            cells.append(Cell(text(mean), UNKNOWN))
        elif low == high:
            cells.append(Cell(text(mean), EXACT))
        else:
            cells.append(Cell(text(mean), f"[{text(low)}, {text(high)}]"))
    return cells


def _starred(cells: list[Cell], table: Any, metric: str) -> list[Cell]:
    """Marks the policies of a column that cannot be told from the best."""
    best = (table["best_set"].sel(metric=metric) == 1).values.tolist()
    return [
        cell._replace(value=cell.value + STAR) if star else cell
        for cell, star in zip(cells, best, strict=True)
    ]


def _decimals(column: Estimates) -> int:
    """Chooses the decimals of a column by its typical interval and typical value."""
    most = SIGNIFICANT_DIGITS - 1 - _exponent(_typical(np.abs(column.mean)))
    half_width = _typical((column.high - column.low) / 2)
    wanted = most if math.isnan(half_width) else 1 - _exponent(half_width)
    return max(0, min(wanted, most))


def _typical(sizes: np.ndarray) -> float:
    """Returns the median of the finite sizes above zero, NaN where there is none."""
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    return float(np.median(sizes)) if sizes.size else math.nan


def _exponent(size: float) -> int:
    """Returns the power of ten of the first digit; 0 where there is no size."""
    return 0 if math.isnan(size) else math.floor(math.log10(size))


def _correlations(table: Any) -> list[Cell]:
    """Returns the column of correlations of accuracy with the baseline's."""
    values = table["correlation"].sel(metric="accuracy").values.tolist()
    return [Cell(NONE if math.isnan(value) else f"{value:.2f}") for value in values]
