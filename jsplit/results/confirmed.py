"""The best cells of a sweep as they looked at first, and on fresh replicas.

Here: `confirmed`. Not here: the replay (`sweeps.confirm`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks
from jsplit.results.settings import KEPT, Settings
from jsplit.results.summary import is_higher_better
from jsplit.stats.student import Estimate, t_interval
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset
else:
    DataFrame = Dataset = Any


def confirmed(data: Dataset, metric: str, level: float) -> DataFrame:
    """Returns what `Runs.confirmed` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        metric: see there.
        level: see there.
    """
    import pandas

    if "fresh_mean" not in data:
        raise JsplitError(
            "a sweep must have been told which cells to confirm, such as confirm="
            "{'reward': 3}, got one that was not"
        )
    level = checks.number("level", level, 0.0, 1.0)
    rows = Settings.of(data)
    fresh = [rows.numbers(f"fresh_{name}", metric) for name in KEPT]
    (chosen,) = np.nonzero(~np.isnan(fresh[0]))
    own, paired = (Estimate(*(x[chosen] for x in fresh[i : i + 3])) for i in (0, 3))
    columns = {name: values[chosen] for name, values in rows.labels().items()}
    columns["first"] = rows.numbers("mean", metric)[chosen]
    columns["fresh"] = own.mean
    columns["low"], columns["high"] = t_interval(own, level)[1:]
    gain = rows.numbers("difference_mean", metric)[chosen]
    columns["first_difference"], columns["fresh_difference"] = gain, paired.mean
    ends = t_interval(paired, level)[1:]
    columns["difference_low"], columns["difference_high"] = ends
    columns["luck"] = gain - paired.mean
    frame = pandas.DataFrame(columns)
    lower = not is_higher_better(metric)
    frame = frame.sort_values("first", ascending=lower, ignore_index=True)
    frame.attrs = {"baseline": str(data.attrs["baseline"]), "level": level}
    return frame
