"""What was tried for rates near 1: coverage and width of known intervals, side by side.

Here: one test set of N samples, right at a rate. All but the betting interval are
functions of the count, so their coverage is a sum over counts, exactly.
"""

import numpy as np
from scipy import stats as scipy_stats
from scipy.special import xlogy

from jsplit import stats

CASES = (
    (50, 0.9),
    (50, 0.98),
    (200, 0.98),
    (200, 0.995),
    (872, 0.995),
    (872, 0.999),
    (10_000, 0.9995),
)
EVALUATIONS = 400  # of the betting interval
TAIL = 0.025


def table(seed):
    """Returns the table, coverage in percent and mean width in points."""
    lines = [
        "| interval | " + " | ".join(f"N = {n}, p = {p}" for n, p in CASES) + " |",
        "| --- |" + " ---: |" * len(CASES),
    ]
    for name, limits in INTERVALS.items():
        cells = [_by_count(limits, *case) for case in CASES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    rng = np.random.default_rng(seed)
    cells = [_betting(rng, *case) for case in CASES]
    lines.append("| betting | " + " | ".join(cells) + " |")
    return "\n".join(lines) + (
        "\n\nCovered % / mean width in points, nominal 95 %. Exact but for betting: "
        f"{EVALUATIONS} test sets, seed {seed}.\n"
    )


def ours(num):
    """`sample_interval` of every count, [N + 1]."""
    counts = np.arange(num + 1)
    low, high = np.empty((2, num + 1))
    for at in range(0, num + 1, 256):
        some = counts[at : at + 256]
        found = stats.sample_interval(np.arange(num) < some[:, None])
        low[at : at + 256], high[at : at + 256] = found[1:]
    return low, high


def symmetric_t(num):
    """Student's, as the interval was."""
    rate = np.arange(num + 1) / num
    half = scipy_stats.t.ppf(1 - TAIL, num - 1) * np.sqrt(rate * (1 - rate) / num)
    return rate - half, rate + half


def wilson(num):
    """The score interval."""
    return stats.wilson_interval(np.arange(num + 1), num)[1:]


def beta(added):
    """Clopper and Pearson's limits for 1, Jeffreys' for 1/2."""

    def limits(num):
        right = np.arange(num + 1)
        ppf = scipy_stats.beta.ppf
        low = ppf(TAIL, np.maximum(right + 1 - added, 1e-9), num - right + added)
        high = ppf(1 - TAIL, right + added, np.maximum(num - right + 1 - added, 1e-9))
        return np.where(right == 0, 0.0, low), np.where(right == num, 1.0, high)

    return limits


def empirical_likelihood(num):
    """Where twice the log likelihood ratio stays below the quantile of chi squared."""
    rate = np.arange(num + 1) / num
    most = scipy_stats.chi2.ppf(1 - 2 * TAIL, 1) / (2 * num)

    def too_far(at):
        loss = xlogy(rate, rate) - xlogy(rate, at)
        return loss + xlogy(1 - rate, 1 - rate) - xlogy(1 - rate, 1 - at) > most

    ends = []
    for end in (0.0, 1.0):
        inside, outside = rate.copy(), np.full(num + 1, end)
        for _ in range(50):
            middle = (inside + outside) / 2
            far = too_far(middle)
            inside = np.where(far, inside, middle)
            outside = np.where(far, middle, outside)
        ends.append(inside)
    return ends


def smoothed_bootstrap(num):
    """Percentiles of resamples, with half a right and half a wrong answer added."""
    rate = (np.arange(num + 1) + 0.5) / (num + 1)
    ppf = scipy_stats.binom.ppf
    return ppf(TAIL, num, rate) / num, ppf(1 - TAIL, num, rate) / num


INTERVALS = {
    "symmetric t (before)": symmetric_t,
    "Wilson": wilson,
    "Jeffreys": beta(0.5),
    "Clopper and Pearson": beta(1.0),
    "empirical likelihood": empirical_likelihood,
    "smoothed bootstrap": smoothed_bootstrap,
    "Pearson III with 2/3 of a sample (used)": ours,
}


def _by_count(limits, num, rate):
    low, high = limits(num)
    chance = scipy_stats.binom.pmf(np.arange(num + 1), num, rate)
    # A limit may be the rate itself, up to a rounding.
    covered = chance[(low <= rate + 1e-12) & (rate - 1e-12 <= high)].sum()
    return f"{100 * covered:.1f} / {100 * chance @ (high - low):.2f}"


def _betting(rng, num, rate):
    """Both one-sided tests of every mean turned round, by bisection."""
    right = (rng.random((EVALUATIONS, num)) < rate).astype(float)
    ends = []
    for values in (1 - right, right):
        inside, outside = values.mean(-1), np.ones(EVALUATIONS)
        for _ in range(12):
            middle = np.minimum((inside + outside) / 2, 1 - 1e-9)
            p_value = np.array(
                [
                    stats.betting_p_value(row, bound, low=0.0, high=1.0, level=1 - TAIL)
                    for row, bound in zip(values, middle, strict=True)
                ]
            )
            far = p_value <= TAIL
            inside = np.where(far, inside, middle)
            outside = np.where(far, middle, outside)
        ends.append(outside)
    low, high = 1 - ends[0], ends[1]
    covered = np.mean((low <= rate) & (rate <= high))
    return f"{100 * covered:.1f} / {100 * np.mean(high - low):.2f}"
