"""Where a cell is that is named by its policy and the values of its axes.

Here: places in the data of a sweep. Not here: what is read there (`cells`, `replicas`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks
from jsplit.results.settings import axes_of, axis_named, columns_of, has_axis
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


def place_of(
    data: Dataset, argument: str, cell: Mapping[str, Any]
) -> dict[str, int | None]:
    """Returns the place on every axis, None where it makes no difference."""
    if not isinstance(cell, Mapping) or "policy" not in cell:
        raise JsplitError(
            f"{argument} must be a dict of a policy and values by axis, such as "
            f"{{'policy': 'splitee', 'offload': 0.1}}, got {checks.shown(cell)}"
        )
    policy = checks.choice(
        f"policy of {argument}", cell["policy"], data["policy"].values.astype(str)
    )
    for name in cell:
        if name != "policy":
            axis_named(data, f"axis of {argument}", name)
    place: dict[str, int | None] = {}
    for axis in axes_of(data):
        given = {name: cell[name] for name in columns_of(data, axis) if name in cell}
        if not has_axis(data, policy, axis):
            place[axis] = None
            continue
        if not given:
            raise JsplitError(f"{argument} must have a value of axis {axis}, got none")
        fits = np.all([data[name].values == one for name, one in given.items()], axis=0)
        if fits.sum() != 1:
            values = checks.shown(data[next(iter(given))].values.tolist())
            raise JsplitError(
                f"{argument} must name one value of axis {axis}, {values}, got "
                f"{checks.shown(given)}"
            )
        place[axis] = int(fits.argmax())
    return place


def number_of(data: Dataset, policy: str) -> int:
    """Returns the number of a policy among all."""
    return data["policy"].values.astype(str).tolist().index(policy)
