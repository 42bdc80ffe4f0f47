"""Results of consecutive replicas as one.

Here: whether parts continue one another, and putting them together. Not here: the
moments of curves (`curves`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jsplit.results import curves
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

_VARYING = {"num_replicas", "first_replica", "created"}


def join(parts: Sequence[Dataset]) -> Dataset:
    """Returns the data of `Result.join`."""
    import xarray

    _check(parts)
    if len({curves.has_all(part) for part in parts}) > 1:
        parts = [curves.reduced(x) if curves.has_all(x) else x for x in parts]
    alone = [str(x) for x in parts[0] if "replica" not in parts[0][x].dims]
    whole = xarray.concat(
        [part.drop_vars(alone) for part in parts],
        "replica",
        data_vars="minimal",
        combine_attrs="override",
    )
    if alone:
        whole = whole.assign(curves.joined(parts))
    return whole.assign_attrs(num_replicas=whole.sizes["replica"])


def _check(parts: Sequence[Dataset]) -> None:
    first = parts[0]
    expected = int(first.attrs["first_replica"])
    for part in parts:
        for name in sorted((first.attrs.keys() | part.attrs.keys()) - _VARYING):
            if part.attrs.get(name) != first.attrs.get(name):
                raise JsplitError(f"parts must agree in {name}, and do not")
        for name in ("policy", "checkpoint"):
            if not part.indexes[name].equals(first.indexes[name]):
                raise JsplitError(f"parts must agree in {name}, and do not")
        if part.attrs["first_replica"] != expected:
            raise JsplitError(
                f"parts must continue at replica {expected}, got one that starts at "
                f"{part.attrs['first_replica']}"
            )
        expected += part.sizes["replica"]
