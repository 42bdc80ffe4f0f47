"""The cells of a sweep put together: from its parts to `Runs`.

Here: where every number belongs, and the labels along the axes. Not here: what is kept
of a cell (`runs`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jsplit.results.chunk import Chunk, Row
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.runs import Runs
from jsplit.results.settings import KEPT, replicas_of


class Part(NamedTuple):
    """Some environments of a sweep, and what is kept of each row there."""

    where: Sequence[Mapping[str, int]]  # [place] number of the point by dimension
    rows: Sequence[Row]
    kept: Mapping[str, np.ndarray]  # [place, row, metric] by name
    attrs: Mapping[str, Any]  # how they were run
    replicas: Mapping[str, Sequence[Sequence[np.ndarray]]]  # [place][row] of [R]


def part_of(
    where: Sequence[Mapping[str, int]], rows: Sequence[Row], chunk: Chunk
) -> Part:
    """Returns the part that a chunk is.

    Args:
        where: by environment, the number of its point by dimension.
        rows: of the chunk.
        chunk: what is kept.
    """
    kept = {name: chunk[name].values for name in KEPT}
    return Part(where, rows, kept, chunk.data.attrs, chunk.replicas(rows))


def assemble(
    dimensions: Mapping[str, Mapping[str, Sequence[Any]]],
    policies: Sequence[str],
    parts: Sequence[Part],
    attrs: Mapping[str, Any],
) -> Runs:
    """Returns all cells as one; a policy without an axis stands at all its values.

    Args:
        dimensions: by dimension, values of the axes that vary along it.
        policies: labels of the sweep's policies, without the values of axes.
        parts: all that are here, none of a share for which there were too few.
        attrs: of the sweep, beside those that all parts have alike.
    """
    import xarray

    sizes = {name: len(next(iter(of.values()))) for name, of in dimensions.items()}
    shape = (*sizes.values(), len(policies), len(PER_REPLICA))
    names = parts[0].kept if parts else KEPT  # of rounds also the replicas
    kept = {name: np.full(shape, np.nan) for name in names}
    most = _most_replicas(parts)
    whole = {metric for part in parts for metric in part.replicas}
    replicas = {
        metric: np.full((*shape[:-1], most), np.nan)
        for metric in PER_REPLICA
        if metric in whole
    }
    for part in parts:
        for i, here in enumerate(part.where):
            for j, row in enumerate(part.rows):
                settings = {**here, **row.where}
                cell = [settings.get(name, slice(None)) for name in dimensions]
                for name, values in part.kept.items():
                    kept[name][(*cell, row.policy)] = values[i, j]
                for metric, of_place in part.replicas.items():
                    own = of_place[i][j]
                    replicas[metric][(*cell, row.policy, slice(len(own)))] = own
    dims = (*dimensions, "policy", "metric")
    coords = {
        axis: (name, [*map(_label, values)])
        for name, of in dimensions.items()
        for axis, values in of.items()
    }
    labels = {"policy": list(policies), "metric": list(PER_REPLICA)}
    variables = {
        **{name: (dims, values) for name, values in kept.items()},
        **{
            replicas_of(metric): ((*dims[:-1], "replica"), values)
            for metric, values in replicas.items()
        },
    }
    told = {
        k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in attrs.items()
    }
    return Runs(
        xarray.Dataset(
            variables,
            {**coords, **labels},
            {**dict(sorted(shared([x.attrs for x in parts]).items())), **told},
        )
    )


def shared(attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the attributes that all have alike."""
    first = attributes[0] if attributes else {}
    return {
        name: value
        for name, value in first.items()
        if all(name in one and one[name] == value for one in attributes)
    }


def _most_replicas(parts: Sequence[Part]) -> int:
    lengths = [
        len(values)
        for part in parts
        for of_metric in part.replicas.values()
        for of_place in of_metric
        for values in of_place
    ]
    return max(lengths, default=0)


def _label(value: Any) -> Any:
    return value if isinstance(value, int | float) else str(value)
