"""Populations of samples that are known, and a small learner on one, in NumPy.

A sample of the first has two plans, an early and a late exit, and either may be right:
four kinds of sample, with known probabilities. A test set is how many it has of each
kind. The learner explores for 2 m steps, m with each plan, then stays with the better
one. What it meets while exploring is a draw without replacement from the counts, so an
order costs no more than a few random numbers.
`draw_trace` is a population for `jsplit.evaluate`.
"""

import numpy as np

import jsplit

COSTS = np.array([0.1, 0.15])
KINDS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])  # early right, late right
POPULATIONS = {
    "clear": np.array([0.06, 0.15, 0.10, 0.69]),  # one plan is better by 0.1
    "tie": np.array([0.06, 0.05, 0.15, 0.74]),  # and here by 0.05: not sure to be found
}

LAWS = {  # of one replica: how to draw it, and its mean
    "normal": (lambda rng, size: rng.normal(size=size), 0.0),
    "exponential": (lambda rng, size: rng.exponential(size=size), 1.0),
    "lognormal(1)": (lambda rng, size: rng.lognormal(size=size), np.exp(0.5)),
    "10 % of runs stuck at 10 times the regret": (
        lambda rng, size: (
            np.where(rng.random(size) < 0.1, 10, 1) * rng.normal(1, 0.1, size)
        ),
        1.9,
    ),
    "event in 5 % of the replicas": (
        lambda rng, size: (rng.random(size) < 0.05).astype(float),
        0.05,
    ),
}
RATES = (0.9, 0.98, 0.995, 0.999)


def draw_test_sets(rng, num_samples, probabilities, size=None):
    """Counts [.., 4] of the kinds in test sets of N samples."""
    return rng.multinomial(num_samples, probabilities, size=size)


def fixed(counts, plan):
    """Mean reward [..] of one plan over test sets [.., 4]."""
    return counts @ KINDS[:, plan] / counts.sum(-1) - COSTS[plan]


def learner(rng, counts, explore):
    """Mean reward [..] of explore-then-commit on test sets [.., 4], in random order."""
    num_samples = counts.sum(-1)
    first = _first(rng, counts, explore)
    second = _first(rng, counts - first, explore)
    rest = counts - first - second
    early = first @ KINDS[:, 0] - explore * COSTS[0]
    late = second @ KINDS[:, 1] - explore * COSTS[1]
    rest = rest @ KINDS - (num_samples - 2 * explore)[..., None] * COSTS
    return (early + late + np.where(late > early, rest[..., 1], rest[..., 0])) / (
        num_samples
    )


def _first(rng, counts, num):
    """Kinds [.., 4] of the first `num` samples of a random order."""
    drawn = np.zeros_like(counts)
    left = np.full(counts.shape[:-1], num)
    others = counts.sum(-1)
    for kind in range(3):
        others = others - counts[..., kind]
        drawn[..., kind] = rng.hypergeometric(counts[..., kind], others, left)
        left = left - drawn[..., kind]
    drawn[..., 3] = left
    return drawn


def draw_trace(rng, num_samples, num_exits=4):
    """A trace whose confidence and accuracy grow with depth."""
    depth = np.linspace(0.0, 0.35, num_exits)
    hard = rng.random((num_samples, 1)) ** 2
    noise = 0.2 * rng.random((num_samples, num_exits))
    confidence = np.clip(0.75 + depth - 0.5 * hard + noise - 0.1, 0.05, 1.0)
    correct = rng.random(confidence.shape) < 0.95 * np.clip(confidence, 0, 0.98)
    return jsplit.Trace.from_arrays(confidence, correct=correct)


def draw_easy_trace(rng, num_samples, num_exits=4):
    """A trace that is right in 97 to 98.5 % and sure of all but 3 % of its samples."""
    unsure = rng.random((num_samples, 1)) < 0.03
    low = rng.uniform(0.3, 0.6, (num_samples, num_exits))
    high = rng.uniform(0.75, 1.0, (num_samples, num_exits))
    confidence = np.sort(np.where(unsure, low, high), axis=1)
    rates = np.linspace(0.97, 0.985, num_exits)
    return jsplit.Trace.from_arrays(
        confidence, correct=rng.random(confidence.shape) < rates
    )
