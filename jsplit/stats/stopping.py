"""When enough replicas have run: fixed-width rules that may look at every chunk.

Here: the half-width after a number of replicas, by the t rule and by a confidence
sequence. Not here: running more replicas (`jsplit.evaluate_until`).
"""

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.stats.base import Interval, finite, is_constant, open_unit
from jsplit.types import JsplitError

MIN_REPLICAS = 256
"""No rule stops before: a variance of few replicas is too often too small."""
METHODS = ("t", "anytime")


def confidence_sequence(
    values: ArrayLike, *, level: float = 0.95, tuned_for: int = 4 * MIN_REPLICAS
) -> Interval:
    """Returns an interval that stays valid however often one looks and stops.

    Estimated: the expected value of one replica, for streams whose replicas are
    independent ("shuffle", "fixed"). With n replicas, mean m, standard deviation s
    and alpha = 1 - level, the asymptotic confidence sequence of Waudby-Smith, Arbour,
    Sinha, Kennedy and Ramdas (2024, Annals of Statistics 52, Theorem 2.2) is

        m -+ s sqrt(2 (n rho^2 + 1) / (n^2 rho^2) ln(sqrt(n rho^2 + 1) / alpha)).

    Assumed: replicas are independent with a finite variance, and the first look comes
    late enough for s to be close (`MIN_REPLICAS`); then the probability that the
    truth is *ever* outside tends to alpha or less. Never shorter than the t interval:
    1.5 times as long at n = `tuned_for`, where rho makes it tightest.

    Args:
        values: [.., R] finite numbers, all replicas so far in the order they ran.
        level: Probability that the truth is never outside, in (0, 1).
        tuned_for: Replicas for which the sequence is made tightest, >= 2; fixed in
            advance, since choosing it after a look would be another look.

    Returns:
        Interval of [..] arrays; low and high are NaN for one replica.

    Raises:
        JsplitError: For values that are empty or not finite and arguments out of range.
    """
    samples = finite("values", values)
    alpha = 1 - open_unit("level", level)
    checks.integer("tuned_for", tuned_for, 2)
    num = samples.shape[-1]
    constant = is_constant(samples, np.abs(samples).max(-1))
    mean = np.where(constant, samples[..., 0], samples.mean(-1))
    if num == 1:
        unknown = np.full_like(mean, np.nan)[()]
        return Interval(mean[()], unknown, unknown)
    # The tightest rho for n = tuned_for (the same paper, appendix B.2).
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha)) + 1) / tuned_for
    radius = np.sqrt(
        2 * (num * rho2 + 1) / (num**2 * rho2) * np.log(np.sqrt(num * rho2 + 1) / alpha)
    )
    half_width = np.where(constant, 0.0, radius * samples.std(-1, ddof=1))
    return Interval(mean[()], (mean - half_width)[()], (mean + half_width)[()])


def half_width(
    values: ArrayLike,
    *,
    level: float = 0.95,
    method: str = "t",
    tuned_for: int = 4 * MIN_REPLICAS,
) -> np.ndarray:
    """Returns the half-width a stopping rule compares with what is wanted.

    "t" is Chow and Robbins' (1965) rule: stop as soon as the t interval is short
    enough. Looking again and again favours moments at which the spread happens to be
    small; with at least 256 replicas, looks a chunk apart and a bound that takes a few
    of them, coverage stays within 93-97 % of nominal 95 % (experiments/coverage).
    "anytime" is `confidence_sequence`, which no looking can break.

    Args:
        values: [.., R] finite numbers, all replicas so far.
        level: Probability that the final interval covers, in (0, 1).
        method: "t" or "anytime".
        tuned_for: As in `confidence_sequence`.

    Returns:
        [..] float64; +inf below 256 replicas, 0 where all replicas agree.

    Raises:
        JsplitError: For values that are empty or not finite and arguments out of range.
    """
    checks.choice("method", method, METHODS)
    samples = finite("values", values)
    if samples.shape[-1] < MIN_REPLICAS:
        open_unit("level", level)
        return np.full(samples.shape[:-1], np.inf)[()]
    if method == "anytime":
        interval = confidence_sequence(samples, level=level, tuned_for=tuned_for)
    else:
        from jsplit.stats.intervals import mean_interval

        interval = mean_interval(samples, level=level)
    return (interval.high - interval.low) / 2


def replicas_needed(
    sd_of_difference: float,
    difference: float,
    *,
    power: float = 0.8,
    level: float = 0.95,
) -> int:
    """Returns how many replicas a paired t test needs to find a difference.

    Estimated: the smallest R with P(two-sided paired t test at `level` rejects) >=
    `power` if the true difference is `difference` and paired differences have the
    standard deviation `sd_of_difference`: about (z_(1+level)/2 + z_power)^2 sd^2 /
    difference^2, exactly by the noncentral t distribution. It is about simulation
    error: replicas buy nothing against test-set error.

    Args:
        sd_of_difference: Standard deviation over replicas of the paired difference,
            > 0, from a pilot run: sqrt(Va + Vb - 2 correlation sqrt(Va Vb)).
        difference: Smallest true difference worth finding, not 0, in the same unit.
        power: Probability of finding it, in (0, 1) and above 1 - level.
        level: 1 - the test's size, in (0, 1).

    Returns:
        R >= 2.

    Raises:
        JsplitError: For arguments out of range, or more than 10^12 replicas.

    Example:
        >>> replicas_needed(1.0, 0.1)
        787
    """
    from scipy.special import nctdtr, ndtri, stdtrit

    sd = checks.number("sd_of_difference", sd_of_difference, 0.0)
    wanted = abs(checks.number("difference", difference))
    open_unit("power", power)
    open_unit("level", level)
    if sd == 0 or wanted == 0:
        name = "sd_of_difference" if sd == 0 else "difference"
        raise JsplitError(f"{name} must not be 0")
    if power <= 1 - level:
        raise JsplitError(f"power must be above 1 - level = {1 - level:g}, got {power}")

    def enough(num: int) -> bool:
        limit = stdtrit(num - 1, (1 + level) / 2)
        shift = wanted / sd * np.sqrt(num)
        # nctdtr loses the far left tail, which is negligible there.
        left = nctdtr(num - 1, shift, -limit) if shift < 5 else 0.0
        return 1 - nctdtr(num - 1, shift, limit) + left >= power

    normal = ((ndtri((1 + level) / 2) + ndtri(power)) * sd / wanted) ** 2
    if normal > 1e12:
        raise JsplitError(
            f"difference must not be that small: {normal:.0e} replicas would be needed"
        )
    # For large R Student and normal agree to less than three replicas.
    low, high = max(2, int(normal) - 2), max(4, int(normal) + 16)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
