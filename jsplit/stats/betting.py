"""A test of the mean of bounded values that adapts to their variance.

Here: `betting_p_value`. Not here: what is tested (`jsplit.fitting`).
"""

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.stats.base import finite, open_unit
from jsplit.types import JsplitError

LARGEST_BET = 0.75  # of what a single value can lose


def betting_p_value(
    values: ArrayLike, bound: float, *, low: float, high: float, level: float = 0.95
) -> np.ndarray:
    """Returns p values of the hypothesis that a mean is `bound` or more.

    Estimated: nothing. Let x_i be the values, and m the bound, brought from [low, high]
    to [0, 1]. One bets against the hypothesis with money K, which starts at 1:

        K_i = K_{i-1} (1 - eta_i (x_i - m)),    p = 1 / max_i K_i.

    If E x_i >= m no bet gains on average, so K is a supermartingale and P(max K >= 1/p)
    <= p (Ville 1939). This is exact for every N, without a normal approximation. The
    bet eta_i may depend on values before i only. With v_{i-1} their variance, which
    starts at 1/4,

        eta_i = min(sqrt(2 ln(1/(1 - level)) / (N v_{i-1})), 0.75 / (1 - m)).

    Hoeffding's and Bentkus' bounds ignore the variance. For a difference of two
    right-or-wrong answers it is far below its largest value.

    Args:
        values: [.., N] independent numbers in [low, high]. Their order must not depend
            on them.
        bound: the mean that is tested, low <= bound < high.
        low: smallest value there can be.
        high: largest value there can be, > low.
        level: 1 - the size of the test that the bets aim at, in (0, 1). The p value is
            valid at any size.

    Returns:
        [..] float64 in (0, 1].

    Raises:
        JsplitError: if values are not finite, or values or arguments are out of range.

    Example:
        >>> betting_p_value([0.0] * 100, 0.1, low=-1.0, high=1.0) < 0.01
        np.True_

    Reference:
        Waudby-Smith and Ramdas, Estimating means of bounded random variables by
        betting, JRSS B 86, 2024, arXiv 2010.09686.
    """
    samples = finite("values", values)
    low, high = checks.number("low", low), checks.number("high", high, low)
    bound = checks.number("bound", bound, low, high)
    if bound >= high:
        raise JsplitError(f"bound must be below high = {high:g}, got {bound:g}")
    if samples.min() < low or samples.max() > high:
        raise JsplitError(
            f"values must be from {low:g} to {high:g}, got "
            f"{samples.min():g} to {samples.max():g}"
        )
    size = 1 - open_unit("level", level)
    num = samples.shape[-1]
    count = np.arange(2, num + 2)
    unit = (samples - low) / (high - low)
    centre = (bound - low) / (high - low)
    mean = (0.5 + unit.cumsum(-1)) / count
    variance = (0.25 + ((unit - mean) ** 2).cumsum(-1)) / count
    before = np.concatenate([np.full_like(variance[..., :1], 0.25), variance], -1)
    bets = np.sqrt(2 * np.log(1 / size) / (num * before[..., :-1]))
    bets = np.minimum(bets, LARGEST_BET / (1 - centre))
    log_money = np.log1p(-bets * (unit - centre)).cumsum(-1)
    return np.exp(-log_money.max(-1).clip(0))
