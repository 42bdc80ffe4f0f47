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
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.summary import HIGHER_IS_BETTER
from jsplit.stats.base import is_constant
from jsplit.stats.paired import differences_of
from jsplit.stats.student import Estimate, estimate, t_interval, t_test

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any

_KEPT = (
    *Estimate._fields,
    *(f"difference_{name}" for name in Estimate._fields),
)


class Row(NamedTuple):
    """One line of a chunk: a policy, and the baseline it is compared with."""

    policy: int  # which of the sweep's policies
    own: Mapping[str, Any]  # values of its axes
    at: Mapping[str, Any]  # these and those of its baseline
    label: str  # of the policy with these values
    baseline: str


class Chunk(Labelled):
    """The estimates of some environments: by place, row and metric."""

    kind: ClassVar[str] = "part of a sweep"
    made_by: ClassVar[str] = "sweep"
    needs: ClassVar[tuple[str, ...]] = ("metric", *_KEPT)

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        labels: Sequence[str],
        rows: Sequence[Row],
        attrs: Mapping[str, Any],
    ) -> "Chunk":
        """Returns what is kept of the replicas of environments.

        Args:
            values: [place, policy, metric, replica] float64.
            labels: of the policies.
            rows: policies beside their baselines.
            attrs: how they were run, as in the attributes of a `Result`.
        """
        import xarray

        streams = stats.Streams(str(attrs["stream"]), attrs["orders_per_test_set"])
        number = {label: i for i, label in enumerate(labels)}
        own = [number[row.label] for row in rows]
        base = [number[row.baseline] for row in rows]
        kept = {
            name: np.zeros((len(values), len(rows), len(PER_REPLICA))) for name in _KEPT
        }
        for j in range(len(PER_REPLICA)):
            of_metric = values[:, :, j]  # [place, policy, replica]
            constant = is_constant(of_metric, np.abs(of_metric).max(-1))
            found = estimate(of_metric, constant, streams)
            differences = differences_of(of_metric[:, own], of_metric[:, base])
            paired = estimate(*differences, streams)
            columns = (
                *(np.broadcast_to(part, constant.shape)[:, own] for part in found),
                *paired,
            )
            for name, column in zip(_KEPT, columns, strict=True):
                kept[name][:, :, j] = column
        dims = ("place", "row", "metric")
        variables = {name: (dims, column) for name, column in kept.items()}
        coords = {"metric": list(PER_REPLICA)}
        return cls(xarray.Dataset(variables, coords, dict(attrs)))


class Runs(Labelled):
    """Estimates of every cell, policy and metric of a sweep.

    Attributes:
        data: dims are the axes, then policy and metric. Variables: mean over the
            replicas, its standard error and the degrees of freedom of its Student t
            (`mean`, `error`, `freedom`); the same of the paired difference to the
            baseline (`difference_mean` and so on).
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
        own = Estimate(*(self.data[name].values for name in _KEPT[:3]))
        paired = Estimate(*(self.data[name].values for name in _KEPT[3:]))
        interval, difference = t_interval(own, level), t_interval(paired, level)
        p_value = self._p_values(paired)
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

    def _p_values(self, paired: Estimate) -> np.ndarray:
        """Returns p values adjusted per metric; NaN for the baseline."""
        p_value = t_test(paired)
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
        checks.choice("metric", metric, PER_REPLICA)
        axes = self.axes
        for name in by:
            checks.choice("by", name, axes)
        table = self.summarize().data.sel(metric=metric)
        frame = table[["mean", "low", "high"]].to_dataframe().reset_index()
        groups = frame.groupby([*by, "policy"], sort=False)["mean"]
        is_higher = HIGHER_IS_BETTER.get(metric, False)
        chosen = groups.idxmax() if is_higher else groups.idxmin()
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
    parts: Sequence[tuple[Sequence[Mapping[str, Any]], Chunk]],
    baseline: str,
) -> Runs:
    """Returns all cells as one; a policy without an axis stands at all its values.

    Args:
        axes: values by axis, in order.
        policies: labels of the sweep's policies, without the values of axes.
        rows: of every chunk.
        parts: chunks, and the values of the axes of their environments.
        baseline: label of the baseline.
    """
    import xarray

    sizes = [len(values) for values in axes.values()]
    shape = (*sizes, len(policies), len(PER_REPLICA))
    kept = {name: np.full(shape, np.nan) for name in _KEPT}
    of_rows = [_places(axes, row.at) for row in rows]
    for environments, chunk in parts:
        values = [(kept[name], chunk[name].values) for name in _KEPT]
        for i, at in enumerate(environments):
            here = _places(axes, at)
            for j, (row, of_row) in enumerate(zip(rows, of_rows, strict=True)):
                settings = {**here, **of_row}
                cell = [settings.get(name, slice(None)) for name in axes]
                for whole, part in values:
                    whole[(*cell, row.policy)] = part[i, j]
    of_parts = [chunk.data.attrs for _, chunk in parts]
    shared = set.intersection(*(set(attrs.items()) for attrs in of_parts))
    dims = (*axes, "policy", "metric")
    coords = {
        **{name: [*map(_label, values)] for name, values in axes.items()},
        "policy": list(policies),
        "metric": list(PER_REPLICA),
    }
    attrs = {
        **dict(sorted(shared)),
        "baseline": baseline,
        "without": json.dumps(_without(axes, policies, rows, parts[0][0][0])),
    }
    return Runs(
        xarray.Dataset({name: (dims, v) for name, v in kept.items()}, coords, attrs)
    )


def _places(axes: Mapping[str, Sequence[Any]], at: Mapping[str, Any]) -> dict[str, int]:
    """Returns where on its axis every value is."""
    return {name: [*axes[name]].index(value) for name, value in at.items()}


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
