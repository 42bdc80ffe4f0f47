"""Coverage of the intervals on fewer evaluations than experiments/coverage counts.

A share may miss its range by 3.5 binomial standard errors, no more: 1 in 4,000 shares
of a right interval would.
"""

import numpy as np
import pytest
from conftest import experiment

TOLERANCE = 3.5
PARTS = "counting", "population", "simulation", "test_sets", "tried", "whole"


@pytest.fixture(scope="module")
def run():
    with experiment("coverage", *PARTS) as run:
        yield run


@pytest.fixture(scope="module")
def pool():
    """Replicas of three policies with common streams; skewed regrets that grow."""
    rng = np.random.default_rng(5)
    common = rng.normal(size=(1, 20_000))
    own = rng.gamma(4.0, 0.5, size=(3, 20_000)) - 2
    steps = np.geomspace(1, 100, 8)
    curve = np.cumsum(rng.gamma(1.5, np.diff(steps, prepend=0), (20_000, 8)), -1)
    return {
        "accuracy": np.round(0.8 + 0.02 * (common + own), 2),
        "cost": 5 + 0.5 * common + own,
        "reward": 0.3 * common - own,
        "regret": own + 10,
        "curve": curve,
    }


def check(rows):
    for row in rows:
        assert row.holds(TOLERANCE), (row.name, row.share, row.low, row.high)


def test_simulation_error(run, pool):
    check(run.simulation.simulation_error(pool, np.random.default_rng(6), 1_000))


def test_test_set_error_of_policies_that_learn_and_that_do_not(run):
    check(run.test_sets.fresh_test_sets(np.random.default_rng(7), 250, "clear"))


def test_training_error(run):
    check(run.test_sets.training_error(np.random.default_rng(8), 300))


def test_stopping_and_looking(run, pool):
    check(run.simulation.stopping(pool, np.random.default_rng(9), 600))
    check(run.simulation.anytime(pool, np.random.default_rng(10), 250))


def test_curves_and_sets(run, pool):
    check(run.simulation.simultaneous(pool, np.random.default_rng(11), 300))
    check(run.simulation.sets_and_power(np.random.default_rng(12), 1_000))


def test_few_replicas_and_rates_near_1(run):
    check(run.simulation.few_replicas(np.random.default_rng(13), 500))
    check(run.test_sets.high_rates(np.random.default_rng(14), 200))
    check(run.simulation.true_nulls(np.random.default_rng(15), 500))
    check(run.test_sets.rare_shipping(np.random.default_rng(16), 200))
