"""Intervals and comparisons of all cells of a sweep: `RunsSummary`.

Here: the table. Not here: what is kept of every cell (`chunk`), limits
(`cell_limits`), the formulas (`stats`).
"""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from jsplit import stats
from jsplit.results.cell_limits import difference_limits, own_limits
from jsplit.results.labelled import Labelled
from jsplit.results.settings import Settings

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset
else:
    DataFrame = Dataset = Any


class RunsSummary(Labelled):
    """Intervals and comparisons of every cell, policy and metric of a sweep.

    Attributes:
        data: dims are the axes, then policy and metric; see `Runs.summarize`.
    """

    kind: ClassVar[str] = "summary of a sweep"
    made_by: ClassVar[str] = "Runs.summarize"
    needs: ClassVar[tuple[str, ...]] = ("policy", "metric", "mean", "low", "high")

    @classmethod
    def of(cls, data: Dataset, level: float) -> "RunsSummary":
        """Returns what `Runs.summarize` does; see there.

        Args:
            data: of a `Runs`.
            level: probability that an interval covers, in (0, 1).
        """
        import xarray

        own = own_limits(data, level)
        paired, p_value = difference_limits(data, level)
        names = ("mean", "low", "high", "difference", "difference_low")
        names = (*names, "difference_high", "p_value")
        numbers = (*own, *paired, _adjusted(data, p_value))
        variables = {
            name: (data["mean"].dims, values)
            for name, values in zip(names, numbers, strict=True)
        }
        told = {"level": level, "adjustment": "bh"}
        return cls(xarray.Dataset(variables, data.coords, {**data.attrs, **told}))

    def to_wide(self) -> DataFrame:
        """Returns one row per setting, and the numbers of every metric side by side.

        A policy without an axis has one row, in which the value is missing.

        Returns:
            Columns: the axes, policy, then "cost", "cost_low", "cost_high",
            "cost_difference" and so on for every metric.
        """
        import pandas

        rows = Settings.of(self.data)
        columns = rows.labels()
        for metric in self.data["metric"].values.astype(str):
            for name in map(str, self.data.data_vars):
                title = metric if name == "mean" else f"{metric}_{name}"
                columns[title] = rows.numbers(name, metric)
        return pandas.DataFrame(columns)


def _adjusted(data: Dataset, p_value: np.ndarray) -> np.ndarray:
    """Returns p values adjusted per metric; NaN for the baseline."""
    p_value = p_value.copy()
    policies = data["policy"].values.astype(str).tolist()
    p_value[..., policies.index(str(data.attrs["baseline"])), :] = np.nan
    for j in range(p_value.shape[-1]):
        flat = p_value[..., j].ravel()
        known = ~np.isnan(flat)
        flat[known] = stats.benjamini_hochberg(flat[known])
        p_value[..., j] = flat.reshape(p_value.shape[:-1])
    return p_value
