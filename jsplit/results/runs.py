"""All cells of a sweep as labelled data: `Runs`, its claims, its parts.

Here: what is kept of a cell, putting cells together, intervals and comparisons over all
of them. Not here: which cells there are (`sweeps`), formulas (`stats`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from jsplit import checks, stats
from jsplit.results.labelled import Labelled
from jsplit.results.metrics import METRICS, streams_of
from jsplit.results.result import Result
from jsplit.stats.spread import (
    Spread,
    spread,
    spread_of_difference,
    t_interval,
    t_test,
)
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any

RUN_METRICS = tuple(name for name in METRICS if name != "cost_change")
HIGHER_IS_BETTER = ("accuracy", "reward", "true_reward")
_MOMENTS = ("mean", "variance", "within")
_KEPT = (*_MOMENTS, *(f"difference_{name}" for name in _MOMENTS))
# What differs between the cells of one sweep, or says nothing of it as a whole.
_OF_A_CELL = {"costs", "horizon", "protocol", "switches", "stream", "created"}
_OF_A_CELL |= {"trace_sha256", "num_samples", "num_exits", "dataset", "model", "covers"}


class Row(NamedTuple):
    """One line of a chunk: a policy, and the baseline it is compared with."""

    policy: int  # which of the sweep's policies
    own: Mapping[str, Any]  # values of its axes
    at: Mapping[str, Any]  # these and those of its baseline
    label: str  # of the policy with these values
    baseline: str


class Chunk(Labelled):
    """The moments of one environment: by row and metric."""

    kind: ClassVar[str] = "part of a sweep"
    made_by: ClassVar[str] = "sweep"
    needs: ClassVar[tuple[str, ...]] = ("metric", *_KEPT)

    @classmethod
    def of(cls, result: Result, rows: Sequence[Row]) -> "Chunk":
        """Returns what is kept of an environment's replicas."""
        import xarray

        streams = streams_of(result.data)
        kept = {name: np.zeros((len(rows), len(RUN_METRICS))) for name in _KEPT}
        number = {label: i for i, label in enumerate(result.policies)}
        own = [number[row.label] for row in rows]
        base = [number[row.baseline] for row in rows]
        for j, metric in enumerate(RUN_METRICS):
            values = result.metric(metric)
            found = spread(values, streams)
            paired = spread_of_difference(values[own], values[base], streams)
            columns = (*(part[own] for part in found), *paired)
            for name, column in zip(_KEPT, columns, strict=True):
                kept[name][:, j] = column
        variables = {name: (("row", "metric"), values) for name, values in kept.items()}
        return cls(
            xarray.Dataset(variables, {"metric": list(RUN_METRICS)}, result.attrs)
        )


class Runs(Labelled):
    """Moments of every cell, policy and metric of a sweep.

    Attributes:
        data: dims are the axes, then policy and metric. Variables: mean and variance
            over the replicas, difference_mean and difference_variance to the baseline,
            and what of the variance lies within resampled test sets (`_within`).
    """

    kind: ClassVar[str] = "sweep"
    made_by: ClassVar[str] = "sweep"
    needs: ClassVar[tuple[str, ...]] = ("policy", "metric", *_KEPT)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Values of every axis, by its name."""
        return {
            str(name): self.data[name].values.tolist()
            for name in self.data["mean"].dims
            if name not in ("policy", "metric")
        }

    def summarize(self, *, level: float = 0.95) -> "RunsSummary":
        """Returns intervals and comparisons with the baseline, of every cell.

        Intervals are Student's over the replicas, also of few: what needs every
        replica, such as the bootstrap of `Result.summarize`, is not kept. P values are
        those of paired t tests, adjusted over all cells and policies of a metric
        (Benjamini-Hochberg): of the differences that are called significant at p, a
        share p is expected to be none.

        Args:
            level: probability that an interval covers, in (0, 1).

        Returns:
            Variables by axes, policy and metric: mean, low, high, difference,
            difference_low, difference_high, p_value.
        """
        import xarray

        level = checks.number("level", level, 0.0, 1.0)
        streams, num = streams_of(self.data), int(self.attrs["num_replicas"])
        own = Spread(*(self.data[name].values for name in _KEPT[:3]))
        paired = Spread(*(self.data[name].values for name in _KEPT[3:]))
        interval = t_interval(own, num, streams, level)
        difference = t_interval(paired, num, streams, level)
        p_value = self._p_values(paired, num, streams)
        names = ("mean", "low", "high")
        names = (*names, "difference", "difference_low", "difference_high", "p_value")
        numbers = zip(names, (*interval, *difference, p_value), strict=True)
        dims = self.data["mean"].dims
        data = xarray.Dataset(
            {name: (dims, values) for name, values in numbers},
            self.data.coords,
            {**self.data.attrs, "level": level, "adjustment": "bh"},
        )
        return RunsSummary(data)

    def _p_values(
        self, paired: Spread, num_replicas: int, streams: stats.Streams
    ) -> np.ndarray:
        """Returns p values adjusted per metric; NaN for the baseline."""
        p_value = t_test(paired, num_replicas, streams)
        of_baseline = self.policies.index(str(self.attrs["baseline"]))
        p_value[..., of_baseline, :] = np.nan
        for j in range(p_value.shape[-1]):
            flat = p_value[..., j].ravel()
            known = ~np.isnan(flat)
            flat[known] = stats.benjamini_hochberg(flat[known])
            p_value[..., j] = flat.reshape(p_value.shape[:-1])
        return p_value

    def best(self, metric: str = "reward", by: Sequence[str] = ()) -> DataFrame:
        """Returns the best cell of every policy, by its mean.

        The best of many means is also the luckiest: run it again on fresh replicas
        (`first_replica`) before it is reported.

        Args:
            metric: what is best; the largest, or the least cost or regret.
            by: axes at each of whose values the best is looked for.

        Returns:
            One row per policy (and value of `by`): the values of the axes, NaN for one
            that the policy has not, mean, low and high.
        """
        checks.choice("metric", metric, RUN_METRICS)
        axes = self.axes
        for name in by:
            checks.choice("by", name, axes)
        table = self.summarize().data.sel(metric=metric)
        sign = 1 if metric in HIGHER_IS_BETTER else -1
        frame = table[["mean", "low", "high"]].to_dataframe().reset_index()
        groups = frame.groupby([*by, "policy"], sort=False)["mean"]
        chosen = groups.idxmax() if sign > 0 else groups.idxmin()
        columns = [*by, "policy", *(x for x in axes if x not in by)]
        found = frame.loc[chosen, [*columns, "mean", "low", "high"]]
        found = found.reset_index(drop=True)
        # A policy that has no such axis is the same at all its values.
        for name, policies in json.loads(self.attrs["without"]).items():
            found[name] = found[name].where(~found["policy"].isin(policies))
        return found

    def __repr__(self) -> str:
        axes = " x ".join(f"{len(v)} {name}" for name, v in self.axes.items())
        sizes = f"{axes or 'one cell'}, {len(self.policies)} policies"
        return f"Runs({sizes}, {self.attrs.get('num_replicas')} replicas)"


class RunsSummary(Labelled):
    """Intervals and comparisons of every cell, policy and metric of a sweep.

    Attributes:
        data: dims are the axes, then policy and metric; see `Runs.summarize`.
    """

    kind: ClassVar[str] = "summary of a sweep"
    made_by: ClassVar[str] = "Runs.summarize"
    needs: ClassVar[tuple[str, ...]] = ("policy", "metric", "mean", "low", "high")


def assemble(
    axes: Mapping[str, Sequence[Any]],
    policies: Sequence[str],
    rows: Sequence[Row],
    parts: Sequence[tuple[Mapping[str, Any], Chunk]],
    baseline: str,
) -> Runs:
    """Returns all cells as one; a policy without an axis stands at all its values.

    Args:
        axes: values by axis, in order.
        policies: labels of the sweep's policies, without the values of axes.
        rows: of every chunk.
        parts: values of the environment's axes, and its chunk.
        baseline: label of the baseline.
    """
    import xarray

    sizes = [len(values) for values in axes.values()]
    shape = (*sizes, len(policies), len(RUN_METRICS))
    kept = {name: np.full(shape, np.nan) for name in _KEPT}
    for at, chunk in parts:
        if chunk.data.sizes["row"] != len(rows):
            raise JsplitError(f"a part of the sweep has no {len(rows)} rows")
        values = {name: chunk[name].values for name in _KEPT}
        for number, row in enumerate(rows):
            settings = {**at, **row.at}
            place = [
                [*given].index(settings[name]) if name in settings else slice(None)
                for name, given in axes.items()
            ]
            for name in _KEPT:
                kept[name][(*place, row.policy)] = values[name][number]
    first = parts[0][1].attrs
    same = {k: v for k, v in first.items() if k not in _OF_A_CELL}
    mus = [json.loads(chunk.attrs["costs"])["mu"] for _, chunk in parts]
    if len(set(mus)) == 1:
        same["mu"] = mus[0]
    dims = (*axes, "policy", "metric")
    coords = {
        **{name: [*map(_label, values)] for name, values in axes.items()},
        "policy": list(policies),
        "metric": list(RUN_METRICS),
    }
    attrs = {
        **same,
        "stream": first["stream"],
        "baseline": baseline,
        "without": json.dumps(_without(axes, policies, rows, parts[0][0])),
    }
    return Runs(
        xarray.Dataset({name: (dims, v) for name, v in kept.items()}, coords, attrs)
    )


def _without(
    axes: Mapping[str, Any],
    policies: Sequence[str],
    rows: Sequence[Row],
    place: Mapping[str, Any],
) -> dict[str, list[str]]:
    """Returns, by axis of policies, those that have no such number."""
    return {
        name: [
            policy
            for i, policy in enumerate(policies)
            if not any(name in row.own for row in rows if row.policy == i)
        ]
        for name in axes
        if name not in place
    }


def _label(value: Any) -> Any:
    return value if isinstance(value, int | float) else str(value)
