"""The best cells of a sweep as they looked at first, and on fresh replicas.

Here: `confirmed`. Not here: the replay (`sweeps.confirm`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks, stats
from jsplit.results.cell_limits import difference_limits, own_limits
from jsplit.results.settings import DIFFERENCE, OWN, Settings
from jsplit.results.summary import is_higher_better
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
    fresh = data.assign({name: data[f"fresh_{name}"] for name in (*OWN, *DIFFERENCE)})
    own, (paired, _) = own_limits(fresh, level), difference_limits(fresh, level)
    own, paired = (
        stats.Interval(*(rows.pick(data["mean"].copy(data=x), metric) for x in one))
        for one in (own, paired)
    )
    (chosen,) = np.nonzero(~np.isnan(own.mean))
    own, paired = (
        stats.Interval(*(part[chosen] for part in one)) for one in (own, paired)
    )
    columns = {name: values[chosen] for name, values in rows.labels().items()}
    columns["first"] = rows.numbers("mean", metric)[chosen]
    columns["fresh"] = own.mean
    columns["low"], columns["high"] = own.low, own.high
    gain = rows.numbers("difference_mean", metric)[chosen]
    columns["first_difference"], columns["fresh_difference"] = gain, paired.mean
    columns["difference_low"], columns["difference_high"] = paired.low, paired.high
    columns["luck"] = gain - paired.mean
    frame = pandas.DataFrame(columns)
    lower = not is_higher_better(metric)
    frame = frame.sort_values("first", ascending=lower, ignore_index=True)
    frame.attrs = {"baseline": str(data.attrs["baseline"]), "level": level}
    return frame
