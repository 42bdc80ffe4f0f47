"""What an evaluation returns: `Result`, and the functions that make claims from it.

Here: the methods that users call, their arguments checked. Not here: what they
compute (`summary`, `conditions`, `recovery`, `joining`, `curves`).
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jsplit import checks, stats
from jsplit.environment.costs import Costs
from jsplit.results import bills, conditions, curves, joining, metrics, summary
from jsplit.results.labelled import Labelled, expect
from jsplit.results.recovery import recover
from jsplit.results.tables import ConditionSummary, Recovery, Summary
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any


class Result(Labelled):
    """What the replicas of every policy did.

    Attributes:
        data: an `xarray.Dataset`. By policy and replica, `reward`, `cost`, `accuracy`
            and `offloaded` are means over the steps; `pseudo_regret`,
            `realised_regret` and `best_played` (steps at which no plan was better) are
            sums at the end of the run; `pulls` counts the plays of every plan. Of
            regret at the checkpoints there are moments over the replicas (`_mean`,
            `_covariance`) or, with `keep_curves`, all curves (`_curve`). With bills
            there are `bill_mean`, `bill_quantile` and `bill_late` by bill. In a
            scenario `condition_pulls`, `condition_reward_sum`, `condition_cost_sum` and
            so on are sums over the steps of each condition. `record_arms` adds `order`,
            the sample of every step, and `arm`, the plan that was played.
    """

    kind: ClassVar[str] = "result"
    made_by: ClassVar[str] = "evaluate"
    needs: ClassVar[tuple[str, ...]] = (
        *("policy", "checkpoint", "accuracy", "cost", "reward", "offloaded"),
        *("pulls", "pseudo_regret", "realised_regret", "best_played"),
    )

    @property
    def num_replicas(self) -> int:
        """R."""
        return int(self.data.sizes["replica"])

    def summarize(
        self,
        baseline: str | None = None,
        *,
        level: float = 0.95,
        adjustment: Literal["holm", "bh"] = "holm",
    ) -> Summary:
        """Returns means, intervals and paired differences to a baseline, per policy.

        What the intervals cover depends on the stream of the result, see `stats`:
        other orders of the same test set ("shuffle"), or other test sets
        ("bootstrap"). Replicas are the unit; steps within one are never pooled.

        Under "bootstrap" the gaps that pseudo-regret adds up are those of the test set
        at hand, the same in all replicas. Its test-set error is therefore taken from
        the realised regret, which has the same expected value over orders. This does
        not hold for a privileged policy, whose error is unknown (NaN).

        Args:
            baseline: label of the policy that others are compared with; by default
                final_exit, or the first policy where that was not run.
            level: probability that an interval covers, in (0, 1).
            adjustment: of the p values over the other policies, per metric: "holm" for
                planned comparisons, "bh" (Benjamini-Hochberg) for sweeps.

        Returns:
            Variables by (policy, metric): mean, low, high; difference, difference_low,
            difference_high; correlation with the baseline on the same streams (NaN
            where either is constant); p_value, adjusted; best_set. That is 1 where a
            policy cannot be told from the best at `level`, all but privileged ones
            compared at once, and 0 where it can; NaN for privileged policies and for
            metrics that have no best value. Metrics: accuracy and offloaded
            (fractions), cost, cost_change (percent of the baseline's), reward (by
            confidence), true_reward (accuracy - mu * cost), pseudo_regret and
            realised_regret at the end of the run. A bill b adds its mean b, the
            percentiles b_p95 and b_p99 over the steps of a run, and b_late, the
            fraction above its deadline.

        Raises:
            JsplitError: if the baseline was not run or an argument is out of range.
        """
        baseline = summary.chosen_baseline(baseline, self.policies)
        level = checks.number("level", level, 0.0, 1.0)
        checks.choice("adjustment", adjustment, stats.ADJUSTMENTS)
        return Summary(summary.compare(self.data, baseline, level, adjustment))

    def summarize_conditions(self, *, level: float = 0.95) -> ConditionSummary:
        """Returns what every policy is worth under each condition of a scenario.

        Accuracy, cost, offloaded and the rewards are means per step of the condition,
        of all replicas together, sum_r x_r / sum_r steps_r: replicas may be under it
        for different numbers of steps. Intervals are those of such a ratio
        (`stats.ratio_interval`) and cover what those of `summarize` cover. Regrets are
        sums over the steps of the condition, and add up to that of the whole run.

        Args:
            level: probability that an interval covers, in (0, 1).

        Returns:
            Variables mean, low and high by (policy, condition, metric), and `steps`
            [condition], the mean number of steps under it. Where a condition never
            held, means per step are NaN. Metrics are those of `summarize`, but for
            cost_change and those of bills.

        Raises:
            JsplitError: if there is one condition or an argument is out of range.

        Example:
            >>> import jsplit
            >>> right = jsplit.Trace.from_arrays([[0.6, 0.9]] * 4, correct=[[0, 1]] * 4)
            >>> wrong = jsplit.Trace.from_arrays([[0.6, 0.9]] * 4, correct=[[0, 0]] * 4)
            >>> costs = jsplit.Costs.splitee(2)
            >>> scenario = jsplit.Scenario(
            ...     {"clear": (right, costs), "blurred": (wrong, costs)},
            ...     jsplit.drift.abrupt(2),
            ... )
            >>> result = jsplit.evaluate(scenario, ["final_exit"], num_replicas=2)
            >>> table = result.summarize_conditions()
            >>> table["mean"].sel(policy="final_exit", metric="accuracy").values
            array([1., 0.])
        """
        level = checks.number("level", level, 0.0, 1.0)
        if "condition_pulls" not in self.data:
            raise JsplitError(
                "result must be of a Scenario with several conditions, got one"
            )
        return ConditionSummary(conditions.by_condition(self.data, level))

    def recovery(
        self,
        at: int,
        *,
        until: int | None = None,
        share: float = 0.5,
        level: float = 0.95,
    ) -> Recovery:
        """Returns how long policies take to find the best plan after a change.

        A replica has recovered at the first checkpoint such that, since the checkpoint
        before, at least `share` of its plays had no better plan under the condition of
        their step. Checkpoints bound the resolution: give `evaluate` closer ones for
        more. A policy with a single plan is compared with SplitEE's splits, as in its
        regret.

        Args:
            at: step of the change, counted from 0.
            until: step of the next change; the end of the run by default.
            share: of the plays, in (0, 1].
            level: probability that an interval covers, in (0, 1).

        Returns:
            By policy: `recovered`, the share of replicas that did, with Wilson's
            interval `recovered_low` and `recovered_high`; `steps_5`, `steps_50` and
            `steps_95`, steps from the change until so many percent of the replicas
            had recovered, infinite where so many did not; `final_best`, the share of
            replicas that play the best plan at least so often in the last stretch,
            with `final_best_low` and `final_best_high`.

        Raises:
            JsplitError: if `evaluate` did not keep the curves, if there are fewer than
                two checkpoints between `at` and `until`, or for resampled test sets,
                whose replicas are not independent.
        """
        if self.data.attrs["stream"] == "bootstrap":
            raise JsplitError(
                "result must be of shuffle or fixed streams: the intervals are "
                "simulation error, got stream 'bootstrap'"
            )
        horizon = int(self.data["checkpoint"].values[-1])
        at = checks.integer("at", at, 0, horizon - 1)
        until = checks.integer(
            "until", horizon if until is None else until, at + 1, horizon
        )
        share = checks.number("share", share, 1e-9, 1.0)
        level = checks.number("level", level, 0.0, 1.0)
        return Recovery(recover(self.data, at, until, share, level))

    def regret_band(
        self,
        which: curves.Regret = "pseudo_regret",
        *,
        level: float = 0.95,
        bands: curves.Bands = "pointwise",
    ) -> stats.Interval:
        """Returns mean regret and its band at every checkpoint.

        Args:
            which: "pseudo_regret" or "realised_regret".
            level: probability that a band covers, in (0, 1).
            bands: "pointwise" bands hold at each checkpoint taken alone;
                "simultaneous" ones, wider, for the whole of one curve.

        Returns:
            mean, low and high, [policy, checkpoint] each.
        """
        return curves.band(self.data, which, level, bands)

    def metric(self, name: str) -> Any:
        """Returns the values of a metric of `summarize`, [policy, replica] float64."""
        known = metrics.per_replica_metrics(self.data)
        return metrics.per_replica(self.data, checks.choice("metric", name, known))

    def bill_costs(self) -> dict[str, list[list[Costs]]]:
        """Returns the costs of every bill by name, condition and route.

        As `evaluate(bills=...)` takes them; without the bill "cost", which is the costs
        that policies learned with.

        Example:
            >>> import jsplit
            >>> trace = jsplit.Trace.from_arrays([[0.6, 0.9]] * 3, correct=[[0, 1]] * 3)
            >>> energy = Costs([1.0, 2.0], unit="mJ")
            >>> result = jsplit.evaluate(
            ...     trace, ["final_exit"], Costs.splitee(2), bills={"energy": energy}
            ... )
            >>> result.bill_costs()["energy"][0][0].unit
            'mJ'
        """
        return bills.costs_of(self.data.attrs)

    @classmethod
    def join(cls, parts: "Sequence[Result]") -> "Result":
        """Returns results of consecutive replicas as one, as if run at once.

        Args:
            parts: results of `evaluate` with equal arguments but `num_replicas` and
                `first_replica`, in order, without gaps; at least one.

        Raises:
            JsplitError: if they do not continue one another.
        """
        parts = checks.entries("parts", parts)
        if not parts:
            raise JsplitError("parts must hold at least one result, got none")
        return cls(joining.join([expect("parts", x, Result).data for x in parts]))

    def without_curves(self) -> "Result":
        """Returns the result with the moments of its curves in place of them all."""
        whole = curves.has_all(self.data)
        return Result(curves.reduced(self.data)) if whole else self

    def to_dataframe(self) -> DataFrame:
        """Returns the metrics as a tidy `pandas.DataFrame` by policy and replica."""
        import xarray

        names = metrics.per_replica_metrics(self.data)
        axes = ("policy", "replica")
        values = {x: (axes, metrics.per_replica(self.data, x)) for x in names}
        first = int(self.data.attrs["first_replica"])
        coords = {
            "policy": self.policies,
            "replica": range(first, first + self.num_replicas),
        }
        return xarray.Dataset(values, coords).to_dataframe()


def summarize(
    result: Result,
    baseline: str | None = None,
    *,
    level: float = 0.95,
    adjustment: Literal["holm", "bh"] = "holm",
) -> Summary:
    """Returns `result.summarize(...)`, see `Result.summarize`."""
    return expect("result", result, Result).summarize(
        baseline, level=level, adjustment=adjustment
    )


def summarize_conditions(result: Result, *, level: float = 0.95) -> ConditionSummary:
    """Returns `result.summarize_conditions(...)`, see `Result.summarize_conditions`."""
    return expect("result", result, Result).summarize_conditions(level=level)


def recovery(
    result: Result,
    at: int,
    *,
    until: int | None = None,
    share: float = 0.5,
    level: float = 0.95,
) -> Recovery:
    """Returns `result.recovery(...)`, see `Result.recovery`."""
    return expect("result", result, Result).recovery(
        at, until=until, share=share, level=level
    )


def save_result(result: Result, path: str | os.PathLike[str]) -> None:
    """Writes a result as one compressed file, see `Result.save`."""
    expect("result", result, Result).save(path)


def load_result(path: str | os.PathLike[str]) -> Result:
    """Returns a result written by `Result.save`."""
    return Result.load(path)
