"""The best cell of a sweep, and those that cannot be told from it.

Here: per policy or over all, by slices. Not here: the rule (`stats.bounds`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit.results.settings import Settings
from jsplit.results.summary import is_higher_better
from jsplit.stats.bounds import joint_interval, may_be_best

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset
else:
    DataFrame = Dataset = Any


def best_cells(
    data: Dataset,
    metric: str,
    by: Sequence[str],
    level: float,
    *,
    per_policy: bool,
    show: str | None = None,
) -> DataFrame:
    """Returns what `Runs.best` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        metric: see there.
        by: see there.
        level: see there.
        per_policy: see there.
        show: see there.
    """
    import pandas

    rows = Settings.of(data, by, privileged=per_policy)
    own, _ = rows.estimates(metric)
    shown, _ = rows.estimates(metric if show is None else show)
    family = rows.families(per_policy=per_policy)
    may_be = _may_be_best(rows, metric, family, level)
    size = np.bincount(family)
    # The first of those with the best mean.
    order = np.lexsort([-own.mean if is_higher_better(metric) else own.mean, family])
    chosen = order[np.searchsorted(family[order], np.arange(len(size)))]
    interval = joint_interval(shown, level, size[family])
    labels = rows.labels()
    first = [name for name in labels if name != "policy"]
    kept = [*(x for x in first if x in rows.by), "policy"]
    columns = [*kept, *(x for x in first if x not in kept)]
    frame = pandas.DataFrame({name: labels[name][chosen] for name in columns})
    for name, part in zip(interval._fields, interval, strict=True):
        frame[name] = part[chosen]
    frame["num_cells"] = size
    frame["num_best"] = np.bincount(family, may_be).astype(int)
    frame.attrs["num_missing"] = rows.num_missing
    return frame


def best_set(
    data: Dataset, metric: str, by: Sequence[str], level: float, *, per_policy: bool
) -> DataFrame:
    """Returns what `Runs.best_set` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        metric: see there.
        by: see there.
        level: see there.
        per_policy: see there.
    """
    import pandas

    rows = Settings.of(data, by, privileged=per_policy)
    own, _ = rows.estimates(metric)
    may_be = _may_be_best(rows, metric, rows.families(per_policy=per_policy), level)
    columns = {**rows.labels(), "mean": own.mean}
    return pandas.DataFrame({name: part[may_be] for name, part in columns.items()})


def _may_be_best(
    rows: Settings, metric: str, family: np.ndarray, level: float
) -> np.ndarray:
    own, paired = rows.estimates(metric)
    return may_be_best(
        own,
        paired,
        family,
        rows.runs_of_baseline(),
        level=level,
        higher_is_better=is_higher_better(metric),
    )
