"""Many comparisons at once: adjusted p values.

Here: Holm for planned comparisons, Benjamini-Hochberg for sweeps. Not here: single
comparisons (`paired`), sets of policies and whole curves (`simultaneous`).
"""

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import as_numbers
from jsplit.types import JsplitError


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjusts the p values of a family of planned comparisons (Holm 1979).

    Estimated: nothing new. If one rejects where the adjusted p is below 5 %, a false
    rejection anywhere in the family is less likely than 5 %, however the tests depend
    on each other. The i-th smallest of m p values is multiplied by m - i + 1. The
    products are then made non-decreasing and cut at 1.

    Args:
        p_values: numbers in [0, 1], on one axis. NaN marks no test, such as the
            baseline with itself; it is kept and not counted in m.

    Returns:
        Adjusted p values in the given order.

    Raises:
        JsplitError: if `p_values` has not one axis or leaves [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    raw, ascending = _ranked(p_values)
    factors = np.arange(len(ascending), 0, -1)
    adjusted = np.full_like(raw, np.nan)
    adjusted[ascending] = np.maximum.accumulate(factors * raw[ascending]).clip(max=1)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> np.ndarray:
    """Adjusts the p values of a sweep (Benjamini and Hochberg 1995).

    Estimated: nothing new. If one calls a difference found where the adjusted p is
    below 5 %, the expected share of false finds among all finds is below 5 %. This
    holds for tests that are independent or positively dependent, as comparisons on
    common streams usually are. The i-th smallest of m p values is multiplied by m / i.
    The products are then made non-decreasing, from the largest down, and cut at 1.
    Weaker than `holm`, which guards against a single false find.

    Args:
        p_values: as in `holm`.

    Returns:
        Adjusted p values in the given order.

    Raises:
        JsplitError: if `p_values` has not one axis or leaves [0, 1].

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    raw, ascending = _ranked(p_values)
    factors = len(ascending) / np.arange(1, len(ascending) + 1)
    largest_first = (factors * raw[ascending])[::-1]
    adjusted = np.full_like(raw, np.nan)
    adjusted[ascending] = np.minimum.accumulate(largest_first)[::-1].clip(max=1)
    return adjusted


ADJUSTMENTS = {"holm": holm, "bh": benjamini_hochberg}
"""Adjustments of p values by the name that `summarize` takes."""


def _ranked(p_values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 p values, and the places of the tests from the smallest p up."""
    raw = as_numbers("p_values", p_values)
    if raw.ndim != 1:
        raise JsplitError(f"p_values must have one axis, got shape {raw.shape}")
    tested = np.flatnonzero(~np.isnan(raw))
    ascending = tested[np.argsort(raw[tested], kind="stable")]
    if len(tested) and not 0 <= raw[ascending[0]] <= raw[ascending[-1]] <= 1:
        wrong = next(p for p in raw[tested] if not 0 <= p <= 1)
        raise JsplitError(f"p_values must lie in [0, 1] or be NaN, got {wrong}")
    return raw, ascending
