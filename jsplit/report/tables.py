"""A summary as a table: for the terminal (rich), a paper (Markdown), a file (CSV).

Here: drawing and writing, and which numbers of a comparison of policies stand where.
Not here: the table by condition (`conditions`), decimals (`cells`), any statistics
(`stats`) or labelled arrays (`results`); a summary is only read. Called by `cli`, users
and `report.figures`.

Terminal and Markdown show the same cells, made once by `layout`.
"""

import csv
import itertools
import json
import math
import os
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
from jsplit.results import METRICS, privileged_policies
from jsplit.writing import replacing

if TYPE_CHECKING:
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


def render(table: Any) -> "Table":
    """Draws a summary for the terminal.

    It is readable from 100 columns on; from about 120 on intervals stay in one line.

    Args:
        table: The Dataset of `jsplit.summarize` or `jsplit.summarize_conditions`.

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
        is_name = number == 0 or header == conditions.CONDITION
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
