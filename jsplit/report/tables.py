"""A summary as a table: for the terminal (rich), a paper (Markdown), a file (CSV).

Here: drawing and writing, and which numbers of a comparison of policies stand where.
Not here: the table by condition (`conditions`), decimals (`cells`), any statistics
(`stats`) or labelled arrays (`results`); a summary is only read. Called by `cli`, users
and `report.figures`.

Terminal and Markdown show the same cells, made once by `layout`.
"""

import csv
import dataclasses
import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit.report import conditions
from jsplit.report.cells import (
    DAGGER,
    NONE,
    STAR,
    Cell,
    Row,
    column_of,
    decimals_of,
    estimates,
    footnotes,
    opening,
)
from jsplit.results.dataset import METRICS, privileged_policies
from jsplit.writing import replacing

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

HEADERS = {
    "policy": "policy",
    "accuracy": "accuracy %",
    "difference": "vs baseline, points",
    "cost": "cost",
    "cost_change": "cost change %",
    "offloaded": "offload %",
    "reward": "reward",
    "true_reward": "true reward",
    "regret": "regret",
    "correlation": "corr.",
}
# Left out of a narrow terminal, the first ones first; a file has them all.
SPARED = tuple(
    HEADERS[name] for name in ("correlation", "cost_change", "offloaded", "true_reward")
)
NAMES = (HEADERS["policy"], conditions.CONDITION)  # columns of names, not numbers
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


def render(table: Any) -> "Fitting":
    """Draws a summary for the terminal, as wide as that is.

    Intervals that have no room in one line take two. Where not even the numbers have
    room, the columns of `SPARED` are left out, and the caption names them.

    Args:
        table: The Dataset of `jsplit.summarize` or `jsplit.summarize_conditions`.

    Returns:
        What `rich.print` shows as a table; intervals stand below their numbers.
    """
    return Fitting(table)


@dataclasses.dataclass(frozen=True)
class Fitting:
    """A summary that is drawn when the width of the terminal is known."""

    table: Any

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> Iterator["Table"]:
        """Yields the table with the columns that have room."""
        del console
        yield _draw(self.table, options.max_width)


def _draw(table: Any, room: int) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = layout(table)
    names = [Cell(_name(row)) for row in rows]
    cells = zip(names, *zip(*(row.cells for row in rows), strict=True), strict=True)
    columns = dict(zip(headers(table), zip(*cells, strict=True), strict=True))
    spared = [title for title in SPARED if title in columns]
    left_out = []
    while (widths := _widths(columns, room)) is None and spared:
        left_out.append(spared.pop(0))
        del columns[left_out[-1]]
    text = caption(table)
    if left_out:
        text = f"{text} For want of width without: {', '.join(left_out)}"
    drawn = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        caption=Text(text, style="dim"),
        caption_justify="left",
    )
    for number, title in enumerate(columns):
        drawn.add_column(
            "\n".join(title.split()),
            justify="left" if title in NAMES else "right",
            width=None if widths is None else widths[number],
        )
    for row, line in zip(rows, zip(*columns.values(), strict=True), strict=True):
        name = Text(line[0].value, style="bold" if row.is_baseline else "")
        texts = [Text.assemble(c.value, ("\n" + c.interval, "dim")) for c in line[1:]]
        drawn.add_row(name, *texts)
    return drawn


def _widths(columns: Mapping[str, Sequence[Cell]], room: int) -> list[int] | None:
    """Returns the widths of columns, intervals whole from the left as long as they fit.

    None if not even the numbers fit. rich alone would shrink the widest column first,
    through its numbers.
    """
    broken, whole = [], []
    for title, cells in columns.items():
        numbers = [*title.split(), *(cell.value for cell in cells)]
        intervals = [cell.interval for cell in cells]
        halves = [half for interval in intervals for half in interval.split()]
        broken.append(max(map(len, [*numbers, *halves])))
        whole.append(max(map(len, [*numbers, *intervals])))
    spare = room - sum(broken) - (len(broken) - 1)
    if spare < 0:
        return None
    widths = broken
    for number, (least, most) in enumerate(zip(broken, whole, strict=True)):
        if most - least <= spare:
            widths[number] = most
            spare -= most - least
    return widths


def to_markdown(table: Any) -> str:
    """Writes a summary as a Markdown table with its caption underneath.

    Args:
        table: The Dataset of `jsplit.summarize` or `jsplit.summarize_conditions`.

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
    """Writes every number of a summary, one row per policy (, condition) and metric.

    Columns: policy (, condition), metric, then the variables of the summary in full
    precision (reading a field back gives the same float64); "nan" = no such number.

    Args:
        table: The Dataset of `jsplit.summarize` or `jsplit.summarize_conditions`.
        path: File to write; an existing one is replaced.

    Raises:
        JsplitError: If the file cannot be written.
    """
    keys = [name for name in ("policy", "condition", "metric") if name in table.dims]
    fields = [name for name in CSV_FIELDS if name in table]
    numbers = np.stack([table[name].transpose(*keys).values for name in fields], -1)
    labels = itertools.product(*(table[name].values for name in keys))
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*keys, *fields])
        for label, row in zip(labels, numbers.reshape(-1, len(fields)), strict=True):
            writer.writerow([*label, *map(float, row)])


def _is_by_condition(table: Any) -> bool:
    return "condition" in table.dims


def headers(table: Any) -> list[str]:
    """Returns the titles of the columns: `HEADERS`, then those of bills, if any."""
    if _is_by_condition(table):
        return [*conditions.HEADERS.values()]
    extra = [
        name.replace("_", " ") + " %" * name.endswith("_late")
        for name in _bill_metrics(table)
    ]
    return [*HEADERS.values(), *extra]


def _bill_metrics(table: Any) -> list[str]:
    return [name for name in map(str, table["metric"].values) if name not in METRICS]


def layout(table: Any) -> list[Row]:
    """Turns a summary into the text of every cell, in the order of its rows.

    A column has one number of decimals: enough to show the typical half-width with
    two digits, but no more than five digits of the typical value. An interval of
    width zero reads "(exact)", an unknown one "[?]", a missing number "–". Thousands
    are not separated, since an interval already holds a comma.

    Args:
        table: The Dataset that `jsplit.summarize` returns.

    Returns:
        One Row per policy (and condition), its cells in the order of `headers` without
        the name.
    """
    if _is_by_condition(table):
        return conditions.layout(table)
    baseline, privileged = table.attrs["baseline"], privileged_policies(table)
    accuracy = estimates(table, "accuracy", factor=100)
    decimals = decimals_of(accuracy)
    # Side by side: with as many decimals, and without intervals, for want of room.
    rewards = estimates(table, "reward"), estimates(table, "true_reward")
    reward_decimals = max(map(decimals_of, rewards))
    columns = {
        "accuracy": _starred(column_of(accuracy, decimals), table, "accuracy"),
        "difference": column_of(
            estimates(table, "accuracy", prefix="difference", factor=100),
            decimals,
            sign="+",
        ),
        "cost": column_of(estimates(table, "cost")),
        "cost_change": column_of(
            estimates(table, "cost_change"), 1, sign="+", show_interval=False
        ),
        "offloaded": column_of(
            estimates(table, "offloaded", factor=100), 1, show_interval=False
        ),
        "reward": column_of(rewards[0], reward_decimals, show_interval=False),
        "true_reward": column_of(rewards[1], reward_decimals, show_interval=False),
        "regret": column_of(estimates(table, "pseudo_regret")),
        "correlation": _correlations(table),
    }
    for metric in _bill_metrics(table):
        factor = 100 if metric.endswith("_late") else 1
        columns[metric] = column_of(estimates(table, metric, factor=factor))
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
    if _is_by_condition(table):
        return conditions.caption(table)
    attrs = table.attrs
    sentences = [
        *opening(attrs),
        f"Cost is the mean per step in {attrs['cost_unit']}, its change is relative to "
        f"{attrs['baseline']}; reward is confidence minus mu times cost, true reward "
        "has accuracy instead of confidence; regret is pseudo-regret after the last "
        "step; corr. is the correlation over replicas of a policy's accuracy with the "
        "baseline's.",
    ]
    deadlines = json.loads(attrs.get("deadlines", "{}"))
    if deadlines:
        late = ", ".join(f"{bill} above {limit:g}" for bill, limit in deadlines.items())
        sentences.append(f"Late: {late}.")
    return " ".join([*sentences, *footnotes(layout(table), attrs["level"])])


def _name(row: Row) -> str:
    """Returns the policy as shown, privileged ones with a dagger."""
    return row.policy + DAGGER * row.is_privileged


def _starred(cells: list[Cell], table: Any, metric: str) -> list[Cell]:
    """Marks the policies of a column that cannot be told from the best."""
    best = (table["best_set"].sel(metric=metric) == 1).values.tolist()
    return [
        cell._replace(value=cell.value + STAR) if star else cell
        for cell, star in zip(cells, best, strict=True)
    ]


def _correlations(table: Any) -> list[Cell]:
    """Returns the column of correlations of accuracy with the baseline's."""
    values = table["correlation"].sel(metric="accuracy").values.tolist()
    return [Cell(NONE if math.isnan(value) else f"{value:.2f}") for value in values]
