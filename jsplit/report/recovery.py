"""The table of recovery: how long policies take to find the best plan again.

Here: which numbers stand where, and the caption. Not here: how it is drawn or written
(`tables`), the numbers (`results.recovery`).
"""

import math

import numpy as np

from jsplit.report.cells import Cell, Estimates, Row, column_of, opening, percent
from jsplit.results.metrics import privileged_policies
from jsplit.results.tables import Recovery

NEVER = "never"
HEADERS = {
    "policy": "policy",
    "recovered": "recovered %",
    "steps_5": "steps, 5 %",
    "steps_50": "steps, half",
    "steps_95": "steps, 95 %",
    "final_best": "best at the end %",
}


def layout(table: Recovery) -> list[Row]:
    """Returns one row per policy, see `tables.layout`."""
    columns = {
        **{name: _share(table, name) for name in ("recovered", "final_best")},
        **{
            name: _steps(table[name].values)
            for name in ("steps_5", "steps_50", "steps_95")
        },
    }
    cells = [columns[name] for name in HEADERS if name != "policy"]
    privileged = privileged_policies(table.data)
    return [
        Row(policy, False, policy in privileged, [*row])
        for policy, *row in zip(table.policies, *cells, strict=True)
    ]


def caption(table: Recovery) -> str:
    """Says what the numbers mean, see `tables.caption`."""
    attrs = table.attrs
    return " ".join(
        [
            *opening(attrs),
            f"The change is at step {attrs['at']}, the run is watched until step "
            f"{attrs['until']}. A replica has recovered once at least "
            f"{percent(attrs['share'])} of its plays between two checkpoints had no "
            "better plan. Steps: until so many of the replicas had recovered.",
        ]
    )


def _share(table: Recovery, name: str) -> list[Cell]:
    parts = (table[name], table[f"{name}_low"], table[f"{name}_high"])
    return column_of(Estimates(*(100 * part.values for part in parts)), 1)


def _steps(values: np.ndarray) -> list[Cell]:
    return [Cell(NEVER if math.isinf(x) else f"{x:.0f}") for x in values.tolist()]
