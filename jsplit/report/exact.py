"""The table of exact values: rules that do not learn, without any simulation.

Here: which numbers stand where, and the caption. Not here: how it is drawn or written
(`tables`), the numbers (`evaluation.exact`).
"""

from jsplit.report.cells import Row, column_of, estimates, footnotes, percent, rewards
from jsplit.results.tables import ExactValues

HEADERS = {
    "policy": "policy",
    "accuracy": "accuracy %",
    "cost": "cost",
    "offloaded": "offload %",
    "reward": "reward",
    "true_reward": "true reward",
}


def layout(table: ExactValues) -> list[Row]:
    """Returns one row per policy, see `tables.layout`."""
    percents = {"accuracy": 100, "offloaded": 100}
    columns = [
        column_of(estimates(table, metric, factor=percents.get(metric, 1)))
        for metric in HEADERS
        if metric != "policy"
    ]
    return [
        Row(policy, False, False, [*cells])
        for policy, *cells in zip(table.policies, *columns, strict=True)
    ]


def caption(table: ExactValues) -> str:
    """Says what the numbers mean, see `tables.caption`."""
    attrs = table.attrs
    sentences = [
        f"{attrs['dataset']}: means over the {attrs['num_samples']} samples, the same "
        f"in every order; protocol {attrs['protocol']}.",
        f"[low, high]: {percent(attrs['level'])} intervals. What they cover: "
        f"{attrs['covers']}.",
        f"Cost is the mean per sample in {attrs['cost_unit']}; {rewards(attrs)}.",
    ]
    exact = "the same whatever the samples"
    marks = footnotes(layout(table), attrs["level"], exact)
    return " ".join([*sentences, *marks])
