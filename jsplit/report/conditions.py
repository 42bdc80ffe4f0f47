"""The table by condition: what every policy is worth under each.

Here: which numbers stand where, and the caption. Not here: how it is drawn or written
(`tables`) or the numbers (`summary.summarize_conditions`). Called by `tables`.
"""

from typing import Any

from jsplit.report.cells import Cell, Row, column_of, estimates, footnotes, opening
from jsplit.results.dataset import privileged_policies

CONDITION = "condition"
HEADERS = {
    "policy": "policy",
    "condition": CONDITION,
    "accuracy": "accuracy %",
    "cost": "cost",
    "offloaded": "offload %",
    "reward": "reward",
    "true_reward": "true reward",
    "regret": "regret",
}


def layout(table: Any) -> list[Row]:
    """Returns one row per policy and condition, see `tables.layout`."""
    table = table.transpose("policy", "condition", "metric")
    privileged = privileged_policies(table)
    names = [
        (policy, condition)
        for policy in table["policy"].values.astype(str).tolist()
        for condition in table["condition"].values.astype(str).tolist()
    ]
    columns = [
        [Cell(condition) for _, condition in names],
        column_of(estimates(table, "accuracy", factor=100)),
        column_of(estimates(table, "cost")),
        column_of(estimates(table, "offloaded", factor=100), 1, show_interval=False),
        column_of(estimates(table, "reward")),
        column_of(estimates(table, "true_reward")),
        column_of(estimates(table, "pseudo_regret")),
    ]
    return [
        Row(policy, False, policy in privileged, [*cells])
        for (policy, _), *cells in zip(names, *columns, strict=True)
    ]


def caption(table: Any) -> str:
    """Says what the numbers mean, see `tables.caption`."""
    attrs = table.attrs
    steps = zip(table["condition"].values, table["steps"].values, strict=True)
    held = ", ".join(f"{name} {number:.6g}" for name, number in steps)
    sentences = [
        *opening(attrs),
        f"Steps under each condition: {held}. Numbers are means over these steps, cost "
        f"in {attrs['cost_unit']}; reward is confidence minus mu times cost, true "
        "reward has accuracy instead of confidence; regret is the pseudo-regret that "
        "these steps add, to the best plan of the condition.",
    ]
    return " ".join([*sentences, *footnotes(layout(table), attrs["level"])])
