"""What is kept of some environments of a sweep: a `Chunk`, a file of a folder.

Here: estimates from the values of all replicas. Not here: what a chunk belongs to
(`sweeps.tasks`), chunks put together (`assembly`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from jsplit import stats
from jsplit.results.labelled import Labelled
from jsplit.results.metrics import PER_REPLICA, surely_constant
from jsplit.results.settings import KEPT, kept_replicas, replicas_of
from jsplit.stats.base import is_constant
from jsplit.stats.paired import differences_of
from jsplit.stats.student import estimate


class Row(NamedTuple):
    """One line of a chunk: a policy, and the baseline it is compared with."""

    policy: int  # which of the sweep's policies
    where: Mapping[str, int]  # by dimension, the point of it and of its baseline
    label: str  # of the policy with these values
    baseline: str


def labels_of(rows: Sequence[Row]) -> list[str]:
    """Returns the labels of the policies of rows, each once, in their order."""
    return list(dict.fromkeys(row.label for row in rows))


class Chunk(Labelled):
    """What is kept of some environments.

    Attributes:
        data: estimates by place, row and metric; of metrics whose every replica is
            kept also the values, by place, label and replica.
    """

    kind: ClassVar[str] = "part of a sweep"
    made_by: ClassVar[str] = "sweep"
    needs: ClassVar[tuple[str, ...]] = ("metric", *KEPT)

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        labels: Sequence[str],
        rows: Sequence[Row],
        attrs: Mapping[str, Any],
        *,
        never_varies: np.ndarray,
        possible: stats.SampleRange,
        keep: Sequence[str] = (),
    ) -> "Chunk":
        """Returns what is kept of the replicas of environments.

        Args:
            values: [place, policy, metric, replica] float64.
            labels: of the policies.
            rows: policies beside their baselines.
            attrs: how they were run, as in the attributes of a `Result`.
            never_varies: [place, policy] bool, the same in every replica.
            possible: what a step can come to, [place, policy, metric].
            keep: metrics of which every replica's value is kept too.
        """
        import xarray

        streams = stats.Streams(str(attrs["stream"]), attrs["orders_per_test_set"])
        number = {label: i for i, label in enumerate(labels)}
        own = [number[row.label] for row in rows]
        base = [number[row.baseline] for row in rows]
        kept = {
            name: np.zeros((len(values), len(rows), len(PER_REPLICA))) for name in KEPT
        }
        for j in range(len(PER_REPLICA)):
            of_metric = values[:, :, j]  # [place, policy, replica]
            constant = is_constant(of_metric, np.abs(of_metric).max(-1))
            exact = surely_constant(of_metric, PER_REPLICA[j], never_varies)
            found = estimate(of_metric, constant, streams, exact)
            differences = differences_of(of_metric[:, own], of_metric[:, base])
            both = exact[:, own] & exact[:, base]
            both |= np.array(own) == base  # a policy differs from itself by nothing
            paired = estimate(*differences, streams, both)
            ends = (np.asarray(part)[:, own, j] for part in possible[:2])
            columns = (
                *(np.broadcast_to(part, constant.shape)[:, own] for part in found),
                *paired,
                *ends,
                possible.num_samples,
            )
            for name, column in zip(KEPT, columns, strict=True):
                kept[name][:, :, j] = column
        dims = ("place", "row", "metric")
        variables: dict[str, Any] = {
            name: (dims, column) for name, column in kept.items()
        }
        chosen = [number[label] for label in labels_of(rows)]
        for metric in keep:
            column = values[:, chosen, PER_REPLICA.index(metric)]
            variables[replicas_of(metric)] = ("place", "label", "replica"), column
        coords = {"metric": list(PER_REPLICA)}
        return cls(xarray.Dataset(variables, coords, dict(attrs)))

    def replicas(self, rows: Sequence[Row]) -> dict[str, list[list[np.ndarray]]]:
        """Returns every replica's value, [place][row] of [R], by metric kept.

        Args:
            rows: of the chunk.
        """
        number = {label: i for i, label in enumerate(labels_of(rows))}
        own = [number[row.label] for row in rows]
        return {
            metric: [[of_place[i] for i in own] for of_place in self[name].values]
            for metric, name in kept_replicas(self.data).items()
        }
