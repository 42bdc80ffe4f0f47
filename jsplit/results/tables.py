"""The kinds of results that are tables: `Summary`, `ConditionSummary`, and more.

Here: what each kind is and holds. Not here: how it is computed (`summary`,
`conditions`, `recovery`, `evaluation`), how it is drawn (`report`).
"""

import math
from typing import TYPE_CHECKING, Any, ClassVar

from jsplit.results.labelled import Labelled

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any

_ESTIMATES = ("policy", "metric", "mean", "low", "high")


class Estimates(Labelled):
    """A table of means and intervals, by policy, metric and whatever else."""

    def _html(self) -> str:
        """Returns one row per policy (and condition), one column per metric."""
        frame = self.data[["mean", "low", "high"]].to_dataframe()
        text: Any = frame.apply(lambda row: _shown(*row), axis=1)
        wide: DataFrame = text.unstack("metric")
        return wide[list(self.data["metric"].values)].to_html()


class Summary(Estimates):
    """Means, intervals and paired differences to a baseline, by policy and metric.

    Attributes:
        data: dims (policy, metric); variables mean, low, high, difference,
            difference_low, difference_high, correlation, p_value, best_set; see
            `Result.summarize`.
    """

    kind: ClassVar[str] = "summary"
    made_by: ClassVar[str] = "summarize"
    needs: ClassVar[tuple[str, ...]] = (*_ESTIMATES, "difference", "best_set")

    @property
    def baseline(self) -> str:
        """Label of the policy that others are compared with."""
        return str(self.data.attrs["baseline"])


class ConditionSummary(Estimates):
    """Means and intervals by policy, condition and metric.

    Attributes:
        data: dims (policy, condition, metric); variables mean, low, high, and steps
            [condition]; see `Result.summarize_conditions`.
    """

    kind: ClassVar[str] = "condition summary"
    made_by: ClassVar[str] = "summarize_conditions"
    needs: ClassVar[tuple[str, ...]] = (*_ESTIMATES, "condition", "steps")


class ExactValues(Estimates):
    """Values of rules that do not learn, without any simulation.

    Attributes:
        data: dims (policy, metric); variables mean, low, high; see `exact_values`.
    """

    kind: ClassVar[str] = "table of exact values"
    made_by: ClassVar[str] = "exact_values"
    needs: ClassVar[tuple[str, ...]] = _ESTIMATES


class Recovery(Labelled):
    """How long policies take to find the best plan after a change.

    Attributes:
        data: by policy: recovered, steps_5, steps_50, steps_95, final_best; see
            `Result.recovery`.
    """

    kind: ClassVar[str] = "recovery"
    made_by: ClassVar[str] = "recovery"
    needs: ClassVar[tuple[str, ...]] = ("policy", "recovered", "steps_50", "final_best")

    def _html(self) -> str:
        return self.to_dataframe().to_html(float_format="{:.4g}".format)


def _shown(mean: float, low: float, high: float) -> str:
    """Returns a number with its interval; nothing where there is no number."""
    if math.isnan(mean):
        return ""
    if math.isnan(low) or low == high:
        return f"{mean:.5g}"
    return f"{mean:.5g} [{low:.5g}, {high:.5g}]"
