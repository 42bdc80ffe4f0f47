"""What the figures of sweeps share: titles, units, which policies are named.

Here: words and choices. Not here: drawing (`curves`, `heat`, `front`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit.report.cells import percent, replicas
from jsplit.report.figures.looks import Look, looks_of
from jsplit.results.metrics import privileged_policies
from jsplit.results.runs import Runs
from jsplit.results.summary import is_higher_better

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any

NAMED = 6  # policies that have a colour and a name where there are many
IN_PERCENT = ("accuracy", "offloaded")


def factor_of(metric: str) -> float:
    """Returns what a metric is multiplied by where it is drawn."""
    return 100.0 if metric in IN_PERCENT else 1.0


def title_of_sweep(runs: Runs, subject: str) -> str:
    """Names the data set, the subject, the stream and the number of replicas."""
    known = runs.attrs
    about = [f"{known['stream']} stream"] if "stream" in known else []
    if "num_replicas" in known:
        about.append(replicas(known["num_replicas"]))
    name = f"{known['dataset']}: " if "dataset" in known else ""
    return f"{name}{subject} ({', '.join(about)})" if about else f"{name}{subject}"


def titled(runs: Runs, metric: str) -> str:
    """Returns a metric with its unit."""
    name = metric.replace("_", " ")
    if metric in IN_PERCENT:
        return f"{name} (%)"
    unit = runs.attrs.get("cost_unit")
    return f"{name} per step ({unit})" if metric == "cost" and unit else name


def covered_by(runs: Runs, level: float) -> str:
    """Says the level and the coverage of intervals."""
    covers = runs.attrs.get("covers")
    return percent(level) + (f", {covers}" if covers else "")


def looks_by_policy(runs: Runs) -> dict[str, Look]:
    """Returns how every policy looks, by its label."""
    labels, baseline = runs.policies, str(runs.attrs["baseline"])
    looks = looks_of(labels, privileged_policies(runs.data), baseline)
    return dict(zip(labels, looks, strict=True))


def named_policies(
    runs: Runs, table: DataFrame, metric: str, most: int = NAMED
) -> list[str]:
    """Returns the policies to name: the best ones and the baseline, in their order.

    Args:
        runs: the sweep.
        table: from `Runs.best`; the best are those of the best average over its rows.
        metric: what is best.
        most: how many of the best.
    """
    labels = runs.policies
    if len(labels) <= most + 2:
        return labels
    average: Any = table.groupby("policy")["mean"].mean()
    ranked = average.sort_values(ascending=not is_higher_better(metric)).index
    hidden = privileged_policies(runs.data)
    best = [label for label in ranked if label not in hidden][:most]
    return [x for x in labels if x in best or x == runs.attrs["baseline"]]


def positions(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns where values stand on an axis, and whether they are numbers."""
    is_number = values.dtype.kind in "iuf"
    return (values if is_number else np.arange(len(values))), is_number
