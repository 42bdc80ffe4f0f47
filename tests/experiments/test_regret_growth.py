"""Growth of regret on shorter runs than experiments/regret_growth, and its fits."""

import numpy as np
import pytest
from conftest import experiment

MEANS = (0.4, 0.6, 0.8, 0.5)
HORIZON = 100_000


@pytest.fixture(scope="module")
def run():
    with experiment("regret_growth", "instances") as run:
        yield run


@pytest.fixture(scope="module")
def replayed(run):
    return run.replay(MEANS, HORIZON, ["ucb1", "epsilon_greedy"], 32, HORIZON)


def test_trace_has_the_gaps_that_were_chosen(run):
    trace = run.instances.make_trace(MEANS, 1000)
    np.testing.assert_allclose(trace.confidence.mean(0), MEANS, rtol=1e-6)
    np.testing.assert_allclose(run.instances.gaps_of(MEANS), [0.2, 0.3, 0.4])


def test_fits_tell_logarithms_from_powers(run):
    steps = np.geomspace(1e3, 1e6, 37)
    log = 5 + 3 * np.log(steps)
    slopes, score = run.instances.fit_log(steps, np.stack([log, 2 * log], axis=1))
    np.testing.assert_allclose(slopes, [3, 6])
    assert score == pytest.approx(1)
    assert run.instances.fit_power(steps, log)[1] < 0.999
    power = 2 * steps**0.5
    exponent, score = run.instances.fit_power(steps, power)
    assert (exponent, score) == (pytest.approx(0.5), pytest.approx(1))
    assert run.instances.fit_log(steps, power[:, None])[1] < 0.9


def test_regret_of_ucb1_grows_like_log_and_stays_under_its_bound(run, replayed):
    steps, curves = replayed
    found = run.row("ucb1", steps, curves["ucb1"], MEANS)
    assert found["log_fit"] > 0.995
    assert found["log_fit"] > found["power_fit"]
    # Below Lai and Robbins' slope no consistent policy stays for ever.
    assert run.instances.best_slope(MEANS) < found["slope"].low
    bounds = 8 * np.log(steps) * (5 + 10 / 3 + 2.5) + (1 + np.pi**2 / 3) * 0.9
    np.testing.assert_allclose(run.instances.ucb1_bound(steps, MEANS), bounds)
    assert (curves["ucb1"].max(1) < bounds).all()


def test_regret_of_a_policy_that_never_stops_exploring_is_no_logarithm(run, replayed):
    steps, curves = replayed
    found = run.row("epsilon_greedy", steps, curves["epsilon_greedy"], MEANS)
    assert found["power_fit"] > found["log_fit"]
    assert found["ratio"][1] > 5  # log T has 1, T has 10
