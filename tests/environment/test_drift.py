"""How conditions follow one another: exact where certain, by chi-square where drawn."""

import functools

import numpy as np
import pytest
from conftest import random_trace
from scipy.stats import chi2

import jsplit
from jsplit.environment import drift
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

REPLICAS, STEPS = 4000, 60
ENOUGH = 1e-4  # p below which draws count as unfair
TRACE = random_trace(20, 2)
COSTS = jsplit.Costs.splitee(2)


def scenario(how, num_conditions=2):
    names = map(str, range(num_conditions))
    return jsplit.Scenario(dict.fromkeys(names, (TRACE, COSTS)), how)


def recorded(how, num_conditions=2, *, replicas=16, **options):
    """The condition of every replica and step, [R, T]."""
    result = jsplit.evaluate(
        scenario(how, num_conditions),
        ["final_exit"],
        num_replicas=replicas,
        horizon=STEPS,
        record_arms=True,
        num_checkpoints=2,
        **options,
    ).data
    return result.condition_at.values


@functools.cache
def many(how, num_conditions=2, **options):
    return recorded(how, num_conditions, replicas=REPLICAS, **options)


def p_value(counts, expected, lost=1):
    """Pearson's chi-square test; `lost` degrees of freedom."""
    counts, expected = np.ravel(counts), np.ravel(expected)
    assert expected.min() > 10
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - lost)


def pairs(one, other, num=2):
    """How often each two values come together, [num, num]."""
    return np.bincount((one * num + other).ravel(), minlength=num * num).reshape(
        num, num
    )


# Certain ones.


@pytest.mark.parametrize(
    ("how", "num", "want"),
    [
        (drift.abrupt(17), 2, [0] * 17 + [1] * 43),
        (drift.abrupt(1), 2, [0] + [1] * 59),
        (drift.abrupt(100), 2, [0] * 60),
        (drift.abrupt(5, 33), 3, [0] * 5 + [1] * 28 + [2] * 27),
        (drift.periodic(1), 2, [0, 1] * 30),
        (drift.periodic(8), 2, ([0] * 8 + [1] * 8) * 3 + [0] * 8 + [1] * 4),
        (drift.periodic(9), 3, (([0] * 9 + [1] * 9 + [2] * 9) * 3)[:60]),
        (drift.recorded([1, 0, 0, 1, 1, 1, 0]), 2, ([1, 0, 0, 1, 1, 1, 0] * 9)[:60]),
        (drift.recorded(np.uint8([2, 2, 0, 1])), 3, [2, 2, 0, 1] * 15),
        (drift.markov([[0, 1], [1, 0]], initial=[0, 1]), 2, [1, 0] * 30),
        (drift.markov([[1, 0], [0, 1]], initial=[0, 1]), 2, [1] * 60),
        (drift.mixture(0, 1), 2, [1] * 60),
    ],
    ids=lambda value: value.label if isinstance(value, drift.Drift) else "",
)
def test_certain_conditions_are_as_said(how, num, want):
    found = recorded(how, num)
    np.testing.assert_array_equal(found, np.broadcast_to(want, found.shape))


# Drawn ones.


def test_mixture_draws_every_step_anew():
    weights = np.array([0.2, 0.5, 0.3])
    found = many(drift.mixture(*weights), 3, stream="bootstrap")
    counts = np.stack([(found == m).sum(0) for m in range(3)], 1)  # [T, M]
    assert p_value(counts, np.tile(REPLICAS * weights, (STEPS, 1)), STEPS) > ENOUGH
    together = np.outer(weights, weights)
    for lag in (1, 2, 20):  # 20 is a pass over the data
        drawn = pairs(found[:, ::lag][:, :-1], found[:, ::lag][:, 1:], 3)
        assert p_value(drawn, drawn.sum() * together) > ENOUGH, lag
    for apart in (1, 2, 4):  # replicas of one resampled test set are 1 to 3 apart
        drawn = pairs(found[::8], found[apart::8], 3)
        assert p_value(drawn, drawn.sum() * together) > ENOUGH, apart


def test_ramp_grows_evenly_between_its_ends():
    found = many(drift.ramp(10, 50))
    assert (found[:, :11] == 0).all()
    assert (found[:, 50:] == 1).all()
    chance = (np.arange(11, 50) - 10) / 40
    hits = found[:, 11:50].sum(0)
    square = (hits - REPLICAS * chance) ** 2 / (REPLICAS * chance * (1 - chance))
    assert chi2.sf(square.sum(), square.size) > ENOUGH
    # Steps are drawn apart: the variance of a replica's sum is that of the sums.
    sums = found[:, 11:50].sum(1)
    expected = (chance * (1 - chance)).sum()
    assert abs(sums.var() / expected - 1) < 5 * np.sqrt(2 / REPLICAS)


CHAIN = np.array([[0.8, 0.15, 0.05], [0.3, 0.6, 0.1], [0.25, 0.25, 0.5]])


def stationary(matrix):
    return np.linalg.matrix_power(np.asarray(matrix), 4096)[0]


def test_markov_moves_with_its_chances_from_the_long_run():
    found = many(drift.markov(CHAIN), 3)
    long_run = stationary(CHAIN)
    for step in (0, 1, STEPS - 1):
        counts = np.bincount(found[:, step], minlength=3)
        assert p_value(counts, REPLICAS * long_run) > ENOUGH, step
    moves = pairs(found[:, :-1], found[:, 1:], 3)
    expected = moves.sum(1, keepdims=True) * CHAIN
    assert p_value(moves, expected, lost=3) > ENOUGH
    # And what was two steps before says no more than what was one.
    for before in range(3):
        here = found[:, :-2] == before
        moves = pairs(found[:, 1:-1][here], found[:, 2:][here], 3)
        expected = moves.sum(1, keepdims=True) * CHAIN
        assert p_value(moves, expected, lost=3) > ENOUGH, before
    drawn = pairs(found[::2, 30], found[1::2, 30], 3)
    together = np.outer(long_run, long_run)
    assert p_value(drawn, drawn.sum() * together) > ENOUGH


def test_markov_starts_where_it_is_told():
    found = many(drift.markov([[0.9, 0.1], [0.4, 0.6]], initial=[0.25, 0.75]))
    counts = np.bincount(found[:, 0], minlength=2)
    assert p_value(counts, REPLICAS * np.array([0.25, 0.75])) > ENOUGH
    second = 0.25 * 0.1 + 0.75 * 0.6
    counts = np.bincount(found[:, 1], minlength=2)
    assert p_value(counts, REPLICAS * np.array([1 - second, second])) > ENOUGH


def test_seeds_draw_other_courses_and_numbers_name_them():
    how = drift.markov([[0.9, 0.1], [0.4, 0.6]])
    first = recorded(how)
    assert np.unique(first, axis=0).shape[0] > 12
    np.testing.assert_array_equal(recorded(how), first)
    assert (recorded(how, seed=1) != first).any()
    np.testing.assert_array_equal(recorded(how, first_replica=8)[:8], first[8:])


@pytest.mark.parametrize(
    ("matrix", "want"),
    [
        (CHAIN, stationary(CHAIN)),
        ([[0, 1], [1, 0]], [0.5, 0.5]),  # never settles, but keeps this
        ([[1, 0], [0, 1]], [0.5, 0.5]),  # keeps anything
        ([[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], [0.5, 0, 0.5]),  # leaves 1 for good
        ([[0.5, 0.5], [0, 1]], [0, 1]),
        ([[1]], [1]),
    ],
)
def test_long_run_is_kept_by_the_chain(matrix, want):
    chain = drift.markov(matrix).chain(3, len(matrix))
    np.testing.assert_allclose(chain.transition[0], np.tile(want, (len(want), 1)))
    np.testing.assert_allclose(want @ np.asarray(matrix), want, atol=1e-12)


@pytest.mark.parametrize(
    "how",
    [
        drift.abrupt(3, 20),
        drift.periodic(4),
        drift.mixture(0.1, 0.2, 0.7),
        drift.markov(CHAIN),
        drift.recorded([0, 1, 2]),
    ],
    ids=lambda how: how.label,
)
def test_chain_holds_chances_and_forgets_what_was_before_it(how):
    chain = how.chain(30, 3)
    assert chain.phase.shape == (30,)
    assert chain.transition.shape[1:] == (3, 3)
    assert chain.transition.min() >= 0
    np.testing.assert_allclose(chain.transition.sum(-1), 1)
    first = chain.transition[chain.phase[0]]
    assert (first == first[0]).all()


def test_labels_tell_apart_what_looks_alike_when_rounded():
    def long_run(chance):
        return drift.markov([[1 - chance, chance], [0.5, 0.5]]).label

    assert long_run(0.1) == "markov([[0.9, 0.1], [0.5, 0.5]])"
    assert len({long_run(0.1), long_run(0.10001), long_run(0.100011)}) == 3
    assert drift.mixture(0.1, 0.9).label == "mixture(0.1, 0.9)"
    third, rounded = (drift.mixture(x, 1 - x).label for x in (1 / 3, 0.333333))
    assert third != rounded
    slow = np.eye(40)  # too many to be shown
    slow[5] = slow[20] = 1 / 40
    other = slow.copy()
    other[20] = slow[21]
    assert drift.markov(slow).label != drift.markov(other).label


def test_drifts_that_differ_have_other_labels():
    chain = [[0.9, 0.1], [0.4, 0.6]]
    drifts = [
        drift.markov(chain),
        drift.markov(chain, initial=[0, 1]),
        drift.markov(chain, initial=[1, 0]),
        drift.recorded([0, 0, 1]),
        drift.recorded([0, 1, 1]),
    ]
    assert len({how.label for how in drifts}) == 5


# Bad input.

PAIR = (TRACE, COSTS)
SHORT = random_trace(19, 2)
DEEP = random_trace(20, 3)
TWO = drift.abrupt(5)

CALLS = {
    "no steps": (lambda: drift.abrupt(), "at increasing steps at least one got ()"),
    "equal steps": (lambda: drift.abrupt(5, 5), "at increasing steps got (5, 5)"),
    "falling steps": (lambda: drift.abrupt(5, 3), "at increasing steps got (5, 3)"),
    "step 0": (lambda: drift.abrupt(0), "at integer >= 1, got 0"),
    "step 1.5": (lambda: drift.abrupt(1.5), "at integer >= 1, got 1.5"),
    "period 0": (lambda: drift.periodic(0), "period integer >= 1, got 0"),
    "ramp back": (lambda: drift.ramp(5, 5), "end integer >= 6, got 5"),
    "ramp before 0": (lambda: drift.ramp(-1, 5), "start integer >= 0, got -1"),
    "weights": (lambda: drift.mixture(0.5, 0.6), "weights add up to 1, got (0.5, 0.6)"),
    "no weights": (lambda: drift.mixture(), "weights must hold chances, got"),
    "text weights": (lambda: drift.mixture("a"), "weights must hold chances, got 'a'"),
    "NaN weights": (lambda: drift.mixture(np.nan, 1), "weights >= 0 add up to 1, nan"),
    "negative": (lambda: drift.mixture(1.5, -0.5), "weights >= 0 got -0.5"),
    "not square": (lambda: drift.markov([[1, 0]]), "transition square shape (1, 2)"),
    "ragged": (lambda: drift.markov([[1, 0], [1]]), "transition hold chances, got"),
    "one number": (lambda: drift.markov(0.5), "transition hold chances, got 0.5"),
    "row of 0.9": (
        lambda: drift.markov([[0.9, 0], [0, 1]]),
        "transition add up to 1, got [[0.9, 0], [0, 1]]",
    ),
    "initial": (
        lambda: drift.markov(np.eye(2), initial=[1, 0, 0]),
        "initial must hold 2 chances, got 3",
    ),
    "empty series": (lambda: drift.recorded([]), "series list numbers from 0, got []"),
    "series of floats": (lambda: drift.recorded([0.5]), "series numbers got [0.5]"),
    "series of -1": (lambda: drift.recorded([0, -1]), "series must be >= 0, got -1"),
    "ragged series": (lambda: drift.recorded([[0], [0, 1]]), "series list got [[0]"),
    "no conditions": (lambda: jsplit.Scenario({}), "conditions dict at least one {}"),
    "a list": (lambda: jsplit.Scenario([PAIR]), "conditions must be a dict got"),
    "no pair": (
        lambda: jsplit.Scenario({"a": TRACE}),
        "condition 'a' pair (trace, costs) or a Condition, got Trace",
    ),
    "no costs": (
        lambda: jsplit.Scenario({"a": (TRACE, 0.5)}),
        "condition 'a': costs jsplit.Costs got float",
    ),
    "other exits": (
        lambda: jsplit.Scenario({"a": (DEEP, COSTS)}),
        "condition 'a': costs for the trace's 3 exits, got costs for 2",
    ),
    "other samples": (
        lambda: jsplit.Scenario({"a": PAIR, "b": (SHORT, COSTS)}, TWO),
        "traces same samples and exits, got shapes (19, 2), (20, 2)",
    ),
    "a route of other samples": (
        lambda: jsplit.Scenario({"a": jsplit.Condition(*PAIR, ((SHORT, COSTS),))}),
        "traces same samples and exits, got shapes (19, 2), (20, 2)",
    ),
    "a route alone": (
        lambda: jsplit.Scenario({"a": jsplit.Condition(*PAIR, PAIR)}),
        "condition 'a': routes must hold pairs (trace, costs), got",
    ),
    "a route without costs": (
        lambda: jsplit.Scenario({"a": jsplit.Condition(*PAIR, ((TRACE, None),))}),
        "condition 'a': costs must be a jsplit.Costs, got NoneType",
    ),
    "routes": (
        lambda: jsplit.Scenario(
            {"a": PAIR, "b": jsplit.Condition(*PAIR, (PAIR,))}, TWO
        ),
        "conditions same routes, got 0, 1",
    ),
    "units": (
        lambda: jsplit.Scenario(
            {"a": PAIR, "b": (TRACE, jsplit.Costs([1, 2], unit="ms"))}, TWO
        ),
        "conditions same unit of cost, got 10 lambda (SplitEE), ms",
    ),
    "mu": (
        lambda: jsplit.Scenario(
            {"a": PAIR, "b": (TRACE, jsplit.Costs.splitee(2, mu=0.5))}, TWO
        ),
        "conditions same mu, got 0.5, 1.0",
    ),
    "no drift": (
        lambda: scenario(None),
        "drift says how 2 conditions follow one another periodic(1000), got None",
    ),
    "drift of 3": (
        lambda: scenario(drift.abrupt(3, 5)),
        "drift abrupt(3, 5) is for 3 conditions, got 2",
    ),
    "drift of 2 for 1": (
        lambda: scenario(TWO, 1),
        "drift abrupt(5) is for 2 conditions, got 1",
    ),
    "costs twice": (
        lambda: jsplit.evaluate(scenario(TWO), ["final_exit"], COSTS).data,
        "costs must not be given with a scenario",
    ),
}


@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=list(CALLS))
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(JsplitError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    position = 0
    for word in words.split():
        found = message.find(word, position)
        assert found >= 0, (word, message)
        position = found + len(word)
