"""Regret over the steps of a run: what is kept of it, and its bands.

Here: the variables of curves in a result. A result has every replica's curves
(`keep_curves=True`) or their moments, never both. Not here: the formulas of bands
(`stats`), how they are drawn (`report`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from jsplit import checks, stats
from jsplit.results.metrics import any_regret, never_vary, streams_of, surely_constant
from jsplit.stats.moments import Moments, merged, moments, plugin_band, pointwise_band
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

Regret = Literal["pseudo_regret", "realised_regret"]
Bands = Literal["pointwise", "simultaneous"]
REGRETS: tuple[Regret, ...] = get_args(Regret)
BANDS: tuple[Bands, ...] = get_args(Bands)
_ALL = ("policy", "checkpoint", "replica")
_MEAN = ("policy", "checkpoint")
_SQUARE = ("policy", "checkpoint", "checkpoint_too")


def variables(
    curves: dict[str, np.ndarray], streams: stats.Streams, *, keep: bool
) -> dict[str, Any]:
    """Returns what a result holds of curves.

    Args:
        curves: [policy, checkpoint, replica] by name: the regrets, and best_played.
        streams: of the replicas.
        keep: every replica's, not only moments.
    """
    if keep:
        return {f"{name}_curve": (_ALL, values) for name, values in curves.items()}
    found: dict[str, Any] = {}
    for name, values in curves.items():
        if name in REGRETS:
            found |= _stored(name, moments(values, streams))
        else:
            found[f"{name}_mean"] = _MEAN, values.mean(-1)
    return found


def has_all(result: Dataset) -> bool:
    """Tells whether a result has every replica's curves."""
    return "pseudo_regret_curve" in result


def reduced(result: Dataset) -> Dataset:
    """Returns a result with moments in place of every replica's curves."""
    names = [str(name) for name in result if str(name).endswith("_curve")]
    curves = {name.removesuffix("_curve"): result[name].values for name in names}
    kept = variables(curves, streams_of(result), keep=False)
    return result.drop_vars(names).assign(kept)


def joined(parts: Sequence[Dataset]) -> dict[str, Any]:
    """Returns the variables of the curves of parts whose moments are kept.

    As if run at once, but for the rounding of the last digits.
    """
    sizes = [part.sizes["replica"] for part in parts]
    found: dict[str, Any] = {}
    for name in REGRETS:
        found |= _stored(name, merged([_loaded(part, name) for part in parts], sizes))
    means = [part["best_played_mean"].values for part in parts]
    found["best_played_mean"] = _MEAN, np.average(means, axis=0, weights=sizes)
    return found


def every_replica(result: Dataset, name: str) -> np.ndarray:
    """Returns the curves of all replicas, [policy, checkpoint, replica].

    Raises:
        JsplitError: if only their moments were kept.
    """
    if f"{name}_curve" not in result:
        raise JsplitError(
            "result must hold the curves of all replicas, got their moments: run "
            "evaluate with keep_curves=True"
        )
    return result[f"{name}_curve"].transpose(*_ALL).values


def band(result: Dataset, which: str, level: float, bands: str) -> stats.Interval:
    """Returns mean regret and its band at the checkpoints, [policy, checkpoint].

    For resampled test sets the spread of pseudo-regret is that of the realised regret,
    as in `Result.summarize`.

    Args:
        result: data of a `Result`.
        which: "pseudo_regret" or "realised_regret".
        level: probability that a band covers, in (0, 1).
        bands: "pointwise" or "simultaneous".
    """
    checks.choice("which", which, REGRETS)
    checks.choice("bands", bands, BANDS)
    level = checks.number("level", level, 0.0, 1.0)
    streams = streams_of(result)
    borrows = streams.resampled and which == "pseudo_regret"
    if has_all(result):
        curves = every_replica(result, which)
        if borrows:
            curves = borrow_spread(curves, every_replica(result, "realised_regret"))
        simultaneous = bands == "simultaneous"
        if simultaneous:
            return stats.simultaneous_band(curves, level=level, streams=streams)
        exact = surely_constant(curves, which, never_vary(result)[:, np.newaxis])
        options: Any = {"exact": exact, "possible": any_regret(result)}
        return stats.mean_interval(curves, level=level, streams=streams, **options)
    found = _loaded(result, which)
    if borrows:
        found = _loaded(result, "realised_regret")._replace(mean=found.mean)
    make = plugin_band if bands == "simultaneous" else pointwise_band
    return make(found, streams, level=level)


def borrow_spread(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns `other` [.., R] shifted to the means over replicas of `values`."""
    return values.mean(-1, keepdims=True) + other - other.mean(-1, keepdims=True)


def _stored(name: str, of: Moments) -> dict[str, Any]:
    """Returns moments as variables; a covariance as its lower triangle."""
    return {
        f"{name}_mean": (_MEAN, of.mean),
        f"{name}_covariance": (_SQUARE, np.tril(of.covariance)),
        f"{name}_within": (_MEAN, of.within),
        f"{name}_units": ((), np.int32(of.num_units)),
    }


def _loaded(result: Dataset, name: str) -> Moments:
    lower = result[f"{name}_covariance"].transpose(*_SQUARE).values
    whole = lower + np.tril(lower, -1).swapaxes(-1, -2)
    mean, within = (
        result[f"{name}_{one}"].transpose(*_MEAN).values for one in ("mean", "within")
    )
    return Moments(mean, whole, within, int(result[f"{name}_units"]))
