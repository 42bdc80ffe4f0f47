"""The table that compares policies: what every one is worth, and the baseline.

Here: which numbers of a summary stand where, and the caption. Not here: decimals
(`cells`), how a table is drawn or written (`tables`).
"""

import json
import math

from jsplit.report.cells import (
    NONE,
    STAR,
    Cell,
    Row,
    column_of,
    decimals_of,
    estimates,
    footnotes,
    opening,
    rewards,
)
from jsplit.results.metrics import METRICS, privileged_policies
from jsplit.results.tables import Summary

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


def bill_headers(table: Summary) -> list[str]:
    """Returns the titles of the columns of bills, which follow `HEADERS`."""
    return [
        name.replace("_", " ") + " %" * name.endswith("_late")
        for name in _bill_metrics(table)
    ]


def _bill_metrics(table: Summary) -> list[str]:
    return [name for name in map(str, table["metric"].values) if name not in METRICS]


def layout(table: Summary) -> list[Row]:
    """Turns a summary into the text of every cell, in the order of its rows.

    A column has one number of decimals: enough to show the typical half-width with
    two digits, but no more than five digits of the typical value. An interval of
    width zero reads "(exact)", an unknown one "[?]", a missing number "–". Thousands
    are not separated, since an interval already holds a comma.

    Returns:
        One Row per policy, its cells in the order of `headers` without the name.
    """
    baseline, privileged = table.baseline, privileged_policies(table.data)
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
    for index, policy in enumerate(table.policies):
        cells = {key: column[index] for key, column in columns.items()}
        if policy == baseline:
            cells |= of_baseline
        rows.append(
            Row(policy, policy == baseline, policy in privileged, [*cells.values()])
        )
    return rows


def caption(table: Summary) -> str:
    """Says what the numbers of a summary mean and what its intervals cover."""
    attrs = table.attrs
    sentences = [
        *opening(attrs),
        f"Cost is the mean per step in {attrs['cost_unit']}, its change is relative to "
        f"{attrs['baseline']}; {rewards(attrs)}; regret is pseudo-regret after the "
        "last step; corr. is the correlation over replicas of a policy's accuracy with "
        "the baseline's.",
    ]
    deadlines = json.loads(attrs.get("deadlines", "{}"))
    if deadlines:
        late = ", ".join(f"{bill} above {limit:g}" for bill, limit in deadlines.items())
        sentences.append(f"Late: {late}.")
    return " ".join([*sentences, *footnotes(layout(table), attrs["level"])])


def _starred(cells: list[Cell], table: Summary, metric: str) -> list[Cell]:
    """Marks the policies of a column that cannot be told from the best."""
    best = (table["best_set"].sel(metric=metric) == 1).values.tolist()
    return [
        cell._replace(value=cell.value + STAR) if star else cell
        for cell, star in zip(cells, best, strict=True)
    ]


def _correlations(table: Summary) -> list[Cell]:
    """Returns the column of correlations of accuracy with the baseline's."""
    values = table["correlation"].sel(metric="accuracy").values.tolist()
    return [Cell(NONE if math.isnan(value) else f"{value:.2f}") for value in values]
