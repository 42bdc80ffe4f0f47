"""All cells of a sweep as labelled data: `Runs`, its claims, its parts.

Here: what users call. Not here: what is done then (`runs_summary`, `best` and so on),
putting cells together (`assembly`), which there are (`sweeps`), formulas (`stats`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from jsplit import checks
from jsplit.results.best import best_cells, best_set
from jsplit.results.cells import CellDifference, difference_of
from jsplit.results.confirmed import confirmed
from jsplit.results.front import COSTS, VALUES, front_of
from jsplit.results.labelled import Labelled
from jsplit.results.replicas import interval_of_cell, replicas_of_cell
from jsplit.results.runs_summary import RunsSummary
from jsplit.results.sensitivity import sensitivity_of
from jsplit.results.settings import KEPT, Settings, axes_of
from jsplit.stats.base import Interval

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any


class Runs(Labelled):
    """Estimates of every cell, policy and metric of a sweep.

    Attributes:
        data: dims are the axes, then policy and metric. Variables: mean over the
            replicas, its standard error, the degrees of freedom of its Student t and
            the skewness of the mean (`mean`, `error`, `freedom`, `skewness`); the same
            of the paired difference to the baseline (`difference_mean` and so on); the
            range of a step, of "bootstrap" streams only, and the size of the test set
            (`least`, `most`, `num_samples`); with `keep="replicas"` the values of all
            replicas, by axes, policy and replica (`replicas_cost` and so on; NaN = not
            run).
    """

    kind: ClassVar[str] = "sweep"
    made_by: ClassVar[str] = "sweep"
    needs: ClassVar[tuple[str, ...]] = ("policy", "metric", *KEPT)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Values of every axis, by its name."""
        return {name: self.data[name].values.tolist() for name in axes_of(self.data)}

    def summarize(self, *, level: float = 0.95) -> RunsSummary:
        """Returns intervals and comparisons with the baseline, of every cell.

        Intervals are those of `Result.summarize`, made from the mean, error, degrees of
        freedom and skewness that are kept of every cell, with the range of its steps;
        they are unknown for as few replicas. P values are the smallest 1 - level at
        which they leave out 0, adjusted over all cells and policies of a metric
        (Benjamini-Hochberg): of the differences that are called significant at
        p, a share p is expected to be none.

        Args:
            level: probability that an interval covers, in (0, 1).

        Returns:
            Variables by axes, policy and metric: mean, low, high, difference,
            difference_low, difference_high, p_value.
        """
        level = checks.number("level", level, 0.0, 1.0)
        return RunsSummary.of(self.data, level)

    def best(
        self,
        metric: str = "reward",
        by: Sequence[str] = (),
        *,
        level: float = 0.95,
        per_policy: bool = True,
        show: str | None = None,
    ) -> DataFrame:
        """Returns the best cell of every policy, by its mean.

        The best of many means is also the luckiest. Two numbers say how far it goes:
        the interval holds although the cell was chosen as the best (Bonferroni over the
        cells that it was chosen from), and `num_best` counts the cells that cannot be
        told from it, see `best_set`. Both are Student's, also of few replicas, for
        which `summarize` has no limits. Run it again on fresh replicas
        (`first_replica`) before it is reported.

        Args:
            metric: what is best; the largest, or the least cost or regret.
            by: axes at each of whose values the best is looked for: those that are not
                yours to choose, such as the costs or the trace.
            level: probability that an interval covers, and that a set of cells holds
                the best one, each row taken alone, in (0, 1).
            per_policy: whether every policy has a row; otherwise the best of all
                policies has, but for those that are privileged.
            show: another metric whose mean and interval are shown of the cells that are
                best in `metric`.

        Returns:
            One row per policy (and value of `by`): the values of the axes, missing for
            one that the policy has not, mean, low, high, num_cells (how many cells it
            is the best of) and num_best (how many may be the best, itself included).
            Cells that are missing, such as those of other shards, do not count; the
            attribute num_missing says how many.

        Raises:
            JsplitError: if there is no such metric or axis, or the level is none.
        """
        level = checks.number("level", level, 0.0, 1.0)
        return best_cells(
            self.data, metric, by, level, per_policy=per_policy, show=show
        )

    def best_set(
        self,
        metric: str = "reward",
        by: Sequence[str] = (),
        *,
        level: float = 0.95,
        per_policy: bool = True,
    ) -> DataFrame:
        """Returns the cells that cannot be told from the best, itself included.

        With probability `level` the best cell is among them, in each slice (and policy)
        taken alone. Cells share streams, but covariances of two cells are not kept. So
        a cell is left out only if another one is better by more than t times the
        largest error that their difference can have: the sum of both errors or, where
        both were compared with the same run of the baseline, the sum of the errors of
        these differences. The quantile t is Bonferroni's over the cells. The set is
        therefore larger than paired tests would make it, never smaller.

        Args:
            metric: as in `best`, and so are the other arguments.
            by: see there.
            level: see there.
            per_policy: see there.

        Returns:
            One row per cell: values of the axes, policy, mean.

        Raises:
            JsplitError: if there is no such metric or axis, or the level is none.
        """
        level = checks.number("level", level, 0.0, 1.0)
        return best_set(self.data, metric, by, level, per_policy=per_policy)

    def front(
        self,
        cost: str = "cost",
        value: str = "accuracy",
        by: Sequence[str] = (),
        *,
        level: float = 0.95,
    ) -> DataFrame:
        """Returns the Pareto front of all settings: what each cost buys at most.

        A setting is a policy in a cell. Privileged policies, such as the oracle, are
        left out: they would dominate all others.

        Args:
            cost: "cost", "offloaded" or a regret, of which less is better.
            value: "accuracy", "reward" or "true_reward".
            by: axes at each of whose values there is a front of its own.
            level: probability that no setting that is called dominated is on the true
                front, in each slice taken alone, in (0, 1).

        Returns:
            One row per setting: values of the axes, policy, mean and limits of both
            metrics (`cost`, `cost_low`, `cost_high` and so on), on_front (no other has
            both means as good and one better) and dominated (surely: another one costs
            less and is worth more, by intervals that hold for all settings at once). A
            setting that is not dominated may belong to the front.

        Raises:
            JsplitError: if there is no such metric or axis, or the level is none.
        """
        checks.choice("cost", cost, COSTS)
        checks.choice("value", value, VALUES)
        level = checks.number("level", level, 0.0, 1.0)
        return front_of(self.data, cost, value, by, level)

    def sensitivity(self, metric: str = "reward") -> DataFrame:
        """Returns how much of a metric's variation each axis explains.

        The share is that of the main effect, first order: with y the means on the full
        grid of a policy's axes and y_a their averages at the values of axis a,

            share = var(y_a) / var(y).

        What is missing from a sum of 1 over the axes are interactions.

        Args:
            metric: what varies.

        Returns:
            One row per policy and axis that it has: share (0..1; NaN = nothing varies),
            range (between the averages at the best and at the worst value, in the unit
            of the metric), best and worst (these values), and noise: at most this share
            of the variation is the error of the means.

        Raises:
            JsplitError: if there is no such metric.
        """
        return sensitivity_of(self.data, metric)

    def difference(
        self,
        cell: Mapping[str, Any],
        other: Mapping[str, Any],
        metric: str = "reward",
        *,
        level: float = 0.95,
    ) -> CellDifference:
        """Returns one cell minus another one, with an interval.

        Where the sweep kept the values of all replicas (`keep="replicas"`), two cells
        are compared replica by replica, as `Result.summarize` compares policies; where
        one stopped early, by the replicas that both have.

        Otherwise only the difference to the baseline in the same environment is paired,
        which is kept of every cell. The interval of two others is a bound, with the
        largest error that their difference can have (see `best_set`): it covers at
        least as often, and is wider.

        Args:
            cell: policy and values by axis, such as {"policy": "splitee", "alpha":
                0.8}; axes that the policy has not need none.
            other: in the same way.
            metric: what is compared.
            level: probability that the interval covers, in (0, 1).

        Returns:
            mean, low, high, and how: "paired" or "bound".

        Raises:
            JsplitError: if there is no such cell or metric, or the level is none.
        """
        level = checks.number("level", level, 0.0, 1.0)
        return difference_of(self.data, cell, other, metric, level)

    def replicas(self, *, metric: str = "reward", **cell: Any) -> np.ndarray:
        """Returns the values of all replicas of a cell, of a sweep that kept them.

        Args:
            metric: what is measured.
            **cell: policy and values by axis, as in `difference`.

        Returns:
            [R] float64, in the order of the replicas.

        Raises:
            JsplitError: if replicas were not kept, or there is no such cell or metric.

        Example:
            >>> import jsplit
            >>> trace = jsplit.sample_trace("digits")
            >>> policies, costs = ["splitee", "final_exit"], jsplit.Costs.splitee
            >>> how = {"num_replicas": 8, "keep": "replicas"}
            >>> runs = jsplit.sweep(trace, policies, costs, {"offload": [0.1]}, **how)
            >>> cell = {"policy": "splitee", "offload": 0.1}
            >>> runs.replicas(metric="cost", **cell).shape
            (8,)
        """
        return replicas_of_cell(self.data, cell, metric)

    def interval(
        self, *, metric: str = "reward", level: float = 0.95, **cell: Any
    ) -> Interval:
        """Returns the mean of a cell and its interval, from all its replicas.

        It is that of `summarize`.

        Args:
            metric: what is measured.
            level: probability that the interval covers, in (0, 1).
            **cell: policy and values by axis, as in `difference`.

        Returns:
            mean, low and high, in the unit of the metric.

        Raises:
            JsplitError: if replicas were not kept, or there is no such cell or metric.
        """
        return interval_of_cell(self.data, cell, metric, level)

    def confirmed(self, metric: str = "reward", *, level: float = 0.95) -> DataFrame:
        """Returns the best cells as they looked at first, and on fresh replicas.

        The best of many cells was also lucky. Its fresh estimate was not chosen for
        being large, so its interval holds as it is.

        Args:
            metric: one in which they are shown.
            level: probability that an interval covers, in (0, 1).

        Returns:
            One row per cell that `jsplit.sweep` was told to `confirm`, the best at
            first on top: values of the axes, policy, the first estimate, the fresh one
            with low and high; the difference to the baseline, first, fresh, low and
            high; and luck, the part of the first difference that the fresh one lacks.

        Raises:
            JsplitError: if the sweep confirmed none, or an argument is out of range.
        """
        return confirmed(self.data, metric, level)

    def __repr__(self) -> str:
        axes = " x ".join(f"{len(v)} {name}" for name, v in self.axes.items())
        sizes = f"{axes or 'one cell'}, {len(self.policies)} policies"
        rows = Settings.of(self.data)
        all_rows = len(rows.policy) + rows.num_missing
        gap = f", {rows.num_missing} of {all_rows} settings missing"
        # Cells that stopped at different numbers have none in common.
        number = self.attrs.get("num_replicas", "various numbers of")
        sizes = f"{sizes}, {number} replicas"
        return f"Runs({sizes}{gap if rows.num_missing else ''})"
