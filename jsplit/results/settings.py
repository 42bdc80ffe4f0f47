"""The settings of a sweep, one a row: every policy at the values of its own axes.

Here: which cells are one and the same, their numbers row by row, their labels. Not
here: what is claimed of them (`best`, `front`, `sensitivity`).
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks
from jsplit.results.metrics import privileged_policies
from jsplit.stats.student import Estimate
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import DataArray, Dataset
else:
    DataArray = Dataset = Any

OWN = Estimate._fields
DIFFERENCE = tuple(f"difference_{name}" for name in OWN)
RANGE = ("least", "most", "num_samples")
KEPT = (*OWN, *DIFFERENCE, *RANGE)
"""What is kept of every cell: its estimate, its paired difference's, its range."""


def replicas_of(metric: str) -> str:
    """Returns the name of the variable that holds every replica's value."""
    return f"replicas_{metric}"


def kept_replicas(data: Dataset) -> dict[str, str]:
    """Returns the variables of every replica's values, by metric; none if not kept."""
    metrics = data["metric"].values.astype(str)
    return {x: replicas_of(x) for x in metrics if replicas_of(x) in data}


def axes_of(data: Dataset) -> list[str]:
    """Returns the names of the dimensions of a sweep that are axes."""
    return [str(x) for x in data["mean"].dims if x not in ("policy", "metric")]


def columns_of(data: Dataset, axis: str) -> list[str]:
    """Returns the coordinates along an axis; several where axes were zipped."""
    found = [str(name) for name, one in data.coords.items() if one.dims == (axis,)]
    return found or [axis]


def axis_named(data: Dataset, argument: str, name: str) -> str:
    """Returns the axis of this name, or that has a coordinate of this name."""
    homes = {x: axis for axis in axes_of(data) for x in [axis, *columns_of(data, axis)]}
    return homes[checks.choice(argument, name, homes)]


def has_axis(data: Dataset, policy: str, axis: str) -> bool:
    """Tells whether the values of an axis make a difference to a policy."""
    without = json.loads(data.attrs["without"])
    return not all(policy in without.get(x, ()) for x in columns_of(data, axis))


@dataclasses.dataclass(frozen=True, eq=False)
class Settings:
    """Where the rows are in the data of a sweep.

    Attributes:
        data: of a `Runs`.
        by: axes that are never left out, so that a policy without them has a row at
            each of their values.
        place: [rows, axes] int; 0 on another axis that a policy has not.
        policy: [rows] int.
        num_missing: how many more there would be, had all cells been run.
    """

    data: Dataset
    by: tuple[str, ...]
    place: np.ndarray
    policy: np.ndarray
    num_missing: int = 0

    @classmethod
    def of(
        cls, data: Dataset, by: Sequence[str] = (), *, privileged: bool = True
    ) -> "Settings":
        """Returns every policy at every combination of the values of its axes.

        Those that were not run, of other shards of a sweep, are left out and counted.

        Args:
            data: of a `Runs`.
            by: names of axes, or of coordinates along them.
            privileged: whether policies that see what no real one can are among them.
        """
        by = tuple(axis_named(data, "by", name) for name in checks.entries("by", by))
        hidden = set() if privileged else privileged_policies(data)
        places, policies = [], []
        for number, label in enumerate(data["policy"].values.astype(str)):
            if label in hidden:
                continue
            own = [
                data.sizes[axis] if axis in by or has_axis(data, label, axis) else 1
                for axis in axes_of(data)
            ]
            grid = np.indices(own).reshape(len(own), math.prod(own)).T
            places.append(grid)
            policies.append(np.full(len(grid), number))
        if not places:
            raise JsplitError(
                "a sweep must have a policy that is not privileged, got "
                f"{', '.join(sorted(hidden))}"
            )
        every = cls(data, by, np.concatenate(places), np.concatenate(policies))
        there = ~np.isnan(every.numbers("mean", str(data["metric"].values[0])))
        if there.all():
            return every
        missing = int((~there).sum())
        return cls(data, by, every.place[there], every.policy[there], missing)

    def estimates(self, metric: str) -> tuple[Estimate, Estimate]:
        """Returns the estimates of a metric and of its paired differences, [rows]."""
        own, paired = (
            Estimate(*(self.numbers(name, metric) for name in names))
            for names in (OWN, DIFFERENCE)
        )
        return own, paired

    def numbers(self, name: str, metric: str) -> np.ndarray:
        """Returns a variable of the data, [rows]."""
        checks.choice("metric", metric, self.data["metric"].values.astype(str))
        return self.pick(self.data[name], metric)

    def pick(self, values: DataArray, metric: str) -> np.ndarray:
        """Returns [rows] of values that have the dims of the means."""
        chosen = values.sel(metric=metric)
        of_places = chosen.transpose(*axes_of(self.data), "policy").values
        return of_places[(*self.place.T, self.policy)]

    def runs_of_baseline(self) -> np.ndarray:
        """Returns, [rows], the number of the run that each was compared with."""
        baseline = str(self.data.attrs["baseline"])
        own = [has_axis(self.data, baseline, axis) for axis in axes_of(self.data)]
        return _numbered(self.place[:, own])

    def families(self, *, per_policy: bool) -> np.ndarray:
        """Returns, [rows], the number of the slice (and policy) that each belongs to.

        Args:
            per_policy: whether the policies of a slice are families of their own.
        """
        chosen = [axis in self.by for axis in axes_of(self.data)]
        keys = self.place[:, chosen]
        if per_policy:
            keys = np.concatenate([keys, self.policy[:, np.newaxis]], axis=1)
        return _numbered(keys)

    def labels(self) -> dict[str, np.ndarray]:
        """Returns the values of all axes, and the policy, [rows] each, by name.

        A value is missing (NaN, or None among texts) where a policy has no such number.
        """
        without = json.loads(self.data.attrs["without"])
        policies = self.data["policy"].values.astype(str)[self.policy]
        found: dict[str, np.ndarray] = {}
        for number, axis in enumerate(axes_of(self.data)):
            for name in columns_of(self.data, axis):
                values = self.data[name].values[self.place[:, number]]
                lacks = np.isin(policies, without.get(name, []))
                if lacks.any() and axis not in self.by:
                    is_number = values.dtype.kind in "iuf"
                    values = values.astype(float if is_number else object)
                    values[lacks] = np.nan if is_number else None
                found[name] = values
        found["policy"] = policies
        return found


def _numbered(keys: np.ndarray) -> np.ndarray:
    """Returns the number of every row's key, in the order of [rows, keys] keys."""
    if not keys.shape[1]:
        return np.zeros(len(keys), int)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
