"""Traces with chosen gaps, the regret bounds that are proved, and fits of growth.

Every exit answers on the device and nothing costs anything, so a split's reward is the
confidence of its exit: 0 or 1, with the mean that was chosen. Not here: replays
(`run`).
"""

import math

import numpy as np

import jsplit

# Best arm third: no policy finds it by ties going to the lowest arm.
INSTANCES = {
    "gaps 0.2, 0.3, 0.4": (0.4, 0.6, 0.8, 0.5),
    "gaps 0.1, 0.2, 0.3": (0.4, 0.6, 0.7, 0.5),
}


def make_trace(means, num_samples, seed=0):
    """A trace whose exits are right, and sure of it, in exactly these shares.

    Exits are shuffled independently of each other. Over num_samples >= T steps a
    replica meets no sample twice; what it sees of an arm pulled n times is n draws
    without replacement, whose mean varies by a factor of 1 - n / N less than that of
    independent draws. Only the best arm is pulled so often that this can be seen, and
    by then its own error no longer decides anything.
    """
    rng = np.random.default_rng(seed)
    columns = []
    for mean in means:
        column = np.arange(num_samples) < round(mean * num_samples)
        columns.append(rng.permutation(column))
    right = np.stack(columns, axis=1)
    return jsplit.Trace.from_arrays(right.astype(np.float32), correct=right)


def free(num_exits):
    """Costs of nothing: rewards lie in [0, 1]."""
    return jsplit.Costs([0.0] * num_exits)


def gaps_of(means):
    """Gaps of all arms but the best."""
    return np.array(sorted(max(means) - mean for mean in means))[1:]


def divergence(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def best_slope(means):
    """Lai and Robbins (1985): no consistent policy has a smaller slope against ln T."""
    best = max(means)
    return sum((best - m) / divergence(m, best) for m in means if m != best)


def ucb1_bound(steps, means):
    """Auer, Cesa-Bianchi and Fischer (2002), theorem 1."""
    gaps = gaps_of(means)
    return 8 * np.log(steps) * (1 / gaps).sum() + (1 + np.pi**2 / 3) * gaps.sum()


def splitee_bound(steps, means):
    """Index m + sqrt(ln t / n): the proof of theorem 1 above with t^-2 for t^-4.

    An arm with n >= 4 ln T / gap^2 has a bonus of at most half its gap, so playing it
    at round t needs the best arm's index below its mean, or the arm's mean too large by
    its bonus, at some n <= t. By Hoeffding each has a chance of at most t * t^-2, and
    sum_{t <= T} 1/t <= 1 + ln T. So an arm is played at most 4 ln T / gap^2 + 1 +
    2 (1 + ln T) times on average.
    """
    gaps = gaps_of(means)
    log = np.log(steps)
    return 4 * log * (1 / gaps).sum() + (3 + 2 * log) * gaps.sum()


def ucb_v_bound(steps, means):
    """Audibert, Munos and Szepesvari (2009), for zeta = 1.2 and c = 1, rewards <= 1."""
    gaps = gaps_of(means)
    spread = np.array([m * (1 - m) for m in means if m != max(means)])
    order = np.argsort([max(means) - m for m in means if m != max(means)])
    return 10 * np.log(steps) * (spread[order] / gaps + 2).sum()


def moss_bound(steps, means):
    """Degenne and Perchet (2016), a = 1.35, whatever the gaps: 113 sqrt(K T)."""
    return 113 * np.sqrt(len(means) * steps)


def fit_log(steps, curves):
    """Slopes [..] of a + b ln T by least squares, and R^2 of the mean curve.

    Args:
        steps: [M] checkpoints.
        curves: [M, R] regret.
    """
    x = np.log(steps) - np.log(steps).mean()
    slopes = x @ curves / (x @ x)
    mean = curves.mean(1)
    return slopes, r_squared(mean, mean.mean() + slopes.mean() * x)


def fit_power(steps, mean):
    """Exponent p and R^2 of c T^p by least squares, also with two numbers to fit."""
    exponents = np.linspace(0.005, 1.2, 240)
    shapes = (steps[:, None] / steps[-1]) ** exponents
    scales = mean @ shapes / (shapes**2).sum(0)
    scores = [r_squared(mean, fitted) for fitted in (scales * shapes).T]
    best = int(np.argmax(scores))
    return exponents[best], scores[best]


def r_squared(values, fitted):
    return 1 - ((values - fitted) ** 2).sum() / ((values - values.mean()) ** 2).sum()
