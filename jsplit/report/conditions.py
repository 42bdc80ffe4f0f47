"""The table by condition: what every policy is worth under each.

Here: which numbers stand where, and the caption. Not here: how it is drawn or written
(`tables`) or the numbers (`results.conditions`).
"""

from jsplit.report.cells import (
    Cell,
    Row,
    column_of,
    estimates,
    footnotes,
    opening,
    rewards,
)
from jsplit.results.metrics import privileged_policies
from jsplit.results.tables import ConditionSummary

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


def layout(table: ConditionSummary) -> list[Row]:
    """Returns one row per policy and condition, see `tables.layout`."""
    privileged = privileged_policies(table.data)
    conditions = table["condition"].values.astype(str).tolist()
    names = [(policy, one) for policy in table.policies for one in conditions]
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


def caption(table: ConditionSummary) -> str:
    """Says what the numbers mean, see `tables.caption`."""
    attrs = table.attrs
    steps = zip(table["condition"].values, table["steps"].values, strict=True)
    held = ", ".join(f"{name} {number:.6g}" for name, number in steps)
    sentences = [
        *opening(attrs),
        f"Steps under each condition: {held}. Numbers are means over these steps, cost "
        f"in {attrs['cost_unit']}; {rewards(attrs)}; regret is the pseudo-regret that "
        "these steps add, to the best plan of the condition.",
    ]
    return " ".join([*sentences, *footnotes(layout(table), attrs["level"])])
