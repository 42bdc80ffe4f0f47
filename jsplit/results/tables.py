"""The kinds of results that are tables: `Summary`, `ConditionSummary`, and more.

Here: what each kind is and holds. Not here: how it is computed (`summary`,
`conditions`, `recovery`, `evaluation`), how it is drawn (`report`).
"""

from typing import ClassVar

from jsplit.results.labelled import Labelled

_ESTIMATES = ("policy", "metric", "mean", "low", "high")


class Summary(Labelled):
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


class ConditionSummary(Labelled):
    """Means and intervals by policy, condition and metric.

    Attributes:
        data: dims (policy, condition, metric); variables mean, low, high, and steps
            [condition]; see `Result.summarize_conditions`.
    """

    kind: ClassVar[str] = "condition summary"
    made_by: ClassVar[str] = "summarize_conditions"
    needs: ClassVar[tuple[str, ...]] = (*_ESTIMATES, "condition", "steps")


class ExactValues(Labelled):
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
        data: by policy: recovered, early, half, late, final_best; see
            `Result.recovery`.
    """

    kind: ClassVar[str] = "recovery"
    made_by: ClassVar[str] = "recovery"
    needs: ClassVar[tuple[str, ...]] = ("policy", "recovered", "half", "final_best")
