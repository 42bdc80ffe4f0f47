"""The Pareto front of a sweep: settings that nothing beats in cost and value at once.

Here: which settings are on it, which may be and which surely are not. Not here: the
rule (`stats.bounds`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit.results.settings import Settings
from jsplit.results.summary import HIGHER_IS_BETTER
from jsplit.stats.base import Interval
from jsplit.stats.bounds import joint_interval, surely_dominated

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset
else:
    DataFrame = Dataset = Any

VALUES = tuple(name for name, higher in HIGHER_IS_BETTER.items() if higher)
COSTS = ("cost", "offloaded", "pseudo_regret", "realised_regret")


def front_of(
    data: Dataset, cost: str, value: str, by: Sequence[str], level: float
) -> DataFrame:
    """Returns what `Runs.front` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        cost: see there.
        value: see there.
        by: see there.
        level: see there.
    """
    import pandas

    rows = Settings.of(data, by, privileged=False)
    own, paired = zip(rows.estimates(cost), rows.estimates(value), strict=True)
    family = rows.families(per_policy=False)
    # Two metrics of every setting, each as it is and as a difference to the baseline.
    statements = 4 * np.bincount(family)[family]
    cost_of, value_of = (joint_interval(part, level, statements) for part in own)
    differences = [joint_interval(part, level, statements) for part in paired]
    runs = rows.runs_of_baseline()
    on_front = np.zeros(len(family), bool)
    dominated = np.zeros(len(family), bool)
    for number in range(family.max() + 1):
        (here,) = np.nonzero(family == number)
        means = [_exactly(part.mean[here]) for part in (cost_of, value_of)]
        on_front[here] = ~surely_dominated(*means)
        dominated[here] |= surely_dominated(_at(cost_of, here), _at(value_of, here))
        for run in np.unique(runs[here]):
            same = here[runs[here] == run]
            dominated[same] |= surely_dominated(*(_at(x, same) for x in differences))
    frame = pandas.DataFrame(rows.labels())
    for name, interval in ((cost, cost_of), (value, value_of)):
        frame[name] = interval.mean
        frame[f"{name}_low"], frame[f"{name}_high"] = interval.low, interval.high
    frame["on_front"], frame["dominated"] = on_front, dominated
    return frame


def _exactly(mean: np.ndarray) -> Interval:
    return Interval.around(mean, np.zeros(len(mean)))


def _at(interval: Interval, here: np.ndarray) -> Interval:
    return Interval(*(part[here] for part in interval))
