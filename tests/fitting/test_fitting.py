"""Rules fitted on a held-out part: against plain loops, and whether promises hold."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import stats
from jsplit.fitting.budget import exit_shares
from jsplit.types import JsplitError, Protocol

pytestmark = pytest.mark.usefixtures("quick_compile")

L = 4
COSTS = jsplit.Costs(
    [0.1, 0.25, 0.3, 0.5], head=[0.01, 0.02, 0.03, 0.04], offload=[0.3, 0.2, 0.1, 0.0]
)
# Confidences with two digits: many ties.
TIED = random_trace(70, L, seed=3, lossy=True)
TIED = jsplit.Trace.from_arrays(
    TIED.confidence.round(2).astype(np.float32),
    correct=TIED.correct,
    remote_confidence=TIED.remote_confidence.astype(np.float32),
    remote_correct=TIED.remote_correct,
)


def exact(policy, trace, metric, costs=COSTS):
    values = jsplit.exact_values(trace, [policy], costs).data["mean"]
    return values.sel(metric=metric).item()


def threshold_of(policy, num_exits=L):
    return policy.plans(num_exits, Protocol()).threshold[0]


def test_parts_share_no_sample_and_lose_none():
    trace = random_trace(101, L, seed=1)
    held_out, judged = jsplit.split_trace(trace, 0.3, seed=4)
    assert (held_out.num_samples, judged.num_samples) == (30, 71)
    both = np.concatenate([held_out.confidence, judged.confidence])
    assert len({row.tobytes() for row in both}) == 101
    joined = both[np.argsort(both[:, 0])]
    expected = trace.confidence[np.argsort(trace.confidence[:, 0])]
    np.testing.assert_array_equal(joined, expected)
    # Every array of a sample moved with it.
    where = {row.tobytes(): i for i, row in enumerate(trace.confidence)}
    rows = [where[row.tobytes()] for row in judged.confidence]
    np.testing.assert_array_equal(judged.correct, trace.correct[rows])
    np.testing.assert_array_equal(judged.entropy, trace.entropy[rows])
    assert judged.meta["part"]["of"] == trace.sha256
    again = jsplit.split_trace(trace, 0.3, seed=4)[1]
    assert again.sha256 == judged.sha256
    assert jsplit.split_trace(trace, 0.3, seed=5)[1].sha256 != judged.sha256


@pytest.mark.parametrize("objective", ["reward", "true_reward"])
@pytest.mark.parametrize("alphas", [None, [0.9, 0.3, 0.62]])
def test_best_split_is_the_best_of_all_splits(objective, alphas):
    policy = jsplit.best_split(TIED, COSTS, alphas, objective=objective)
    own = TIED.confidence if objective == "reward" else TIED.correct
    remote = TIED.remote_confidence if objective == "reward" else TIED.remote_correct
    best = -np.inf
    for i in range(L):
        tried = [*TIED.confidence[:, i], 1.0] if alphas is None else np.float32(alphas)
        for alpha in tried:
            total = 0.0
            for n in range(TIED.num_samples):
                total -= COSTS.compute[i] + COSTS.head[i]
                if TIED.confidence[n, i] >= alpha or i == L - 1:
                    total += own[n, i]
                else:
                    total += remote[n, i] - COSTS.offload[i]
            best = max(best, total / TIED.num_samples)
    assert exact(policy, TIED, objective) == pytest.approx(best, abs=1e-6)
    if alphas:
        assert policy.numbers["alpha"] in alphas


def test_best_split_prefers_the_final_exit_where_all_else_is_worse():
    costs = jsplit.Costs([0.0] * L, offload=10.0)
    trace = jsplit.Trace.from_arrays(
        [[0.1, 0.1, 0.1, 0.9]] * 5, correct=[[0, 0, 0, 1]] * 5
    )
    assert jsplit.best_split(trace, costs).numbers["depth"] == L


def test_shares_are_geometric_and_cost_the_budget():
    costs = np.array([1.0, 2.0, 4.0, 4.0])
    for budget in (1.01, 2.0, 2.75, 3.9):
        shares = exit_shares(costs, budget)
        np.testing.assert_allclose(shares.sum(), 1)
        np.testing.assert_allclose(shares @ costs, budget, rtol=1e-9)
        ratios = shares[1:] / shares[:-1]
        np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_array_equal(exit_shares(costs, 4.0), [0, 0, 0, 1])
    np.testing.assert_allclose(exit_shares(costs, 1.0), [1, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("budget", [0.12, 0.25, 0.5])
def test_budget_is_met_on_the_held_out_part(budget):
    trace = random_trace(400, L, seed=5)
    policy = jsplit.budget_cascade(trace, COSTS, budget)
    cost = exact(policy, trace, "cost")
    # At most one sample too many leaves at each exit.
    assert budget - L * 0.6 / 400 <= cost <= budget + 1e-6
    assert exact(jsplit.budget_cascade(TIED, COSTS, budget), TIED, "cost") <= (
        budget + 1e-6
    )


def test_thresholds_let_the_target_shares_leave():
    trace = random_trace(500, L, seed=6)
    thresholds = threshold_of(jsplit.budget_cascade(trace, COSTS, 0.3))
    shares = exit_shares(COSTS.compute + COSTS.head.cumsum(), 0.3)
    left, gone = list(range(500)), 0
    for i in range(L):
        leaves = [n for n in left if trace.confidence[n, i] >= thresholds[i]]
        gone += len(leaves)
        assert gone == pytest.approx(500 * shares[: i + 1].sum(), abs=1)
        left = [n for n in left if n not in leaves]


def test_budget_of_the_whole_network_is_the_final_exit():
    policy = jsplit.budget_cascade(TIED, COSTS, 1.0)
    np.testing.assert_array_equal(threshold_of(policy), [np.inf] * 3 + [-np.inf])
    assert exact(policy, TIED, "accuracy") == TIED.accuracy[-1]


def test_p_value_is_that_of_money_bet_one_value_at_a_time():
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=200)
    money, most, total, square = 1.0, 1.0, 0.0, 0.0
    variance, bound = 0.25, (0.1 + 1) / 2
    for i, value in enumerate((values + 1) / 2):
        bet = min(np.sqrt(2 * np.log(1 / 0.05) / (200 * variance)), 0.75 / (1 - bound))
        money *= 1 - bet * (value - bound)
        most = max(most, money)
        total += value
        square += (value - (0.5 + total) / (i + 2)) ** 2
        variance = (0.25 + square) / (i + 2)
    found = stats.betting_p_value(values, 0.1, low=-1, high=1)
    assert found == pytest.approx(1 / most)
    assert found < 0.9


def test_p_value_of_a_true_hypothesis_is_rarely_small():
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.02, 0.9, 0.08], size=(4000, 300))
    true = stats.betting_p_value(values, 0.06, low=-1, high=1)
    assert (true <= 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4000)
    false = stats.betting_p_value(values, 0.12, low=-1, high=1)
    assert (false <= 0.05).mean() > 0.7


def population(num_samples=200_000, num_exits=3):
    """A trace whose early exits are wrong more often the less confident they are."""
    rng = np.random.default_rng(2)
    confidence = rng.beta(6, [2.0, 1.5, 1.0], (num_samples, num_exits))
    right = rng.random((num_samples, num_exits)) < confidence
    right[:, -1] |= rng.random(num_samples) < 0.5
    return confidence.astype(np.float32), right


def drops_of_cascades(confidence, correct, alphas):
    """Drop in accuracy at each alpha, by its definition."""
    drops = []
    for alpha in alphas:
        answer = correct[:, -1]
        for i in reversed(range(confidence.shape[1] - 1)):
            stops = confidence[:, i] >= np.float32(alpha)
            answer = np.where(stops, correct[:, i], answer)
        drops.append(correct[:, -1].mean() - answer.mean())
    return np.array(drops)


@pytest.mark.parametrize(
    ("fit", "families"),
    [
        (jsplit.risk_controlled_cascade, {None: [0, 1, 2]}),
        (jsplit.risk_controlled_split, {1: [0, 2], 2: [1, 2]}),  # cascades of two exits
    ],
)
def test_risk_is_exceeded_no_more_often_than_promised(fit, families):
    risk, delta, size, repeats = 0.05, 0.2, 250, 300
    alphas = np.linspace(1, 0, 41)
    confidence, correct = population()
    costs = jsplit.Costs([1.0, 2.0, 4.0], offload=1.0)
    rng = np.random.default_rng(3)
    truth = {(None, None): 0.0, (3, 1.0): 0.0}  # the final exit
    for depth, exits in families.items():
        drops = drops_of_cascades(confidence[:, exits], correct[:, exits], alphas)
        truth |= {(depth, a): d for a, d in zip(alphas.tolist(), drops, strict=True)}
    paid = (costs,) if fit is jsplit.risk_controlled_split else ()
    broken, naive, early = [], [], []
    for _ in range(repeats):
        rows = rng.integers(confidence.shape[0], size=size)
        held_out = jsplit.Trace.from_arrays(confidence[rows], correct=correct[rows])
        found = fit(held_out, *paid, risk, delta, alphas=alphas).numbers
        drop = truth[found.get("depth"), found["alpha"]]
        broken.append(drop > risk)
        early.append(drop > 0.005)
        # The last rule of the first family whose drop was small on the held-out part.
        depth, exits = next(iter(families.items()))
        part = np.ix_(rows, exits)
        seen = drops_of_cascades(confidence[part], correct[part], alphas)
        chosen = alphas[(seen > risk).argmax() - 1]
        naive.append(truth[depth, chosen] > risk)
    assert np.mean(broken) <= delta + 2 * np.sqrt(delta * (1 - delta) / repeats)
    assert np.mean(early) > 0.5  # it does let samples leave early
    assert np.mean(naive) > delta + 0.1  # a small drop on the part promises nothing


def test_risk_controlled_split_may_ship_and_knows_its_price():
    confidence, correct = population(4000)
    trace = jsplit.Trace.from_arrays(confidence, correct=correct)
    cheap = jsplit.Costs([1.0, 2.0, 4.0], offload=0.1)
    dear = jsplit.Costs([1.0, 2.0, 4.0], offload=50.0)
    assert jsplit.risk_controlled_split(trace, cheap, 0.01).numbers["depth"] == 1
    policy = jsplit.risk_controlled_split(trace, dear, 0.01)
    assert policy.numbers["depth"] == 3
    assert exact(policy, trace, "cost", dear) == pytest.approx(4.0)


def test_nothing_certified_is_the_final_exit():
    policy = jsplit.risk_controlled_cascade(TIED, 0.0)
    assert policy.numbers["alpha"] is None
    assert exact(policy, TIED, "accuracy") == TIED.accuracy[-1]
    assert exact(policy, TIED, "cost") == pytest.approx(0.54)


def test_fitted_rules_are_judged_beside_others():
    held_out, judged = jsplit.split_trace(random_trace(300, L, seed=7), seed=1)
    policies = [
        "splitee",
        jsplit.best_split(held_out, COSTS),
        jsplit.best_split(judged, COSTS),
        jsplit.budget_cascade(held_out, COSTS, 0.3),
        jsplit.risk_controlled_cascade(held_out, 0.1),
        jsplit.risk_controlled_split(held_out, COSTS, 0.1),
    ]
    result = jsplit.evaluate(judged, policies, COSTS, num_replicas=8).data
    labels = list(result.policy.values)
    assert len(set(labels)) == 6
    assert sum(held_out.sha256[:8] in label for label in labels) == 4
    hindsight = result.reward.sel(policy=policies[2].label)
    assert (hindsight >= result.reward.max("policy") - 1e-6).all()
    other = random_trace(20, 3)
    with pytest.raises(JsplitError, match="4 exits it was fitted on, got 3"):
        jsplit.exact_values(other, [policies[3]], jsplit.Costs.splitee(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jsplit.split_trace(TIED, 0.001), "share must leave a sample"),
        (lambda: jsplit.split_trace(TIED, 2.0), "share must be a number from 0 to 1"),
        (lambda: jsplit.best_split(TIED, COSTS, [1.5]), "alphas must hold"),
        (lambda: jsplit.best_split(TIED, COSTS, []), "alphas must hold"),
        (
            lambda: jsplit.best_split(TIED, COSTS, objective="cost"),
            "objective must be one of reward, true_reward",
        ),
        (lambda: jsplit.budget_cascade(TIED, COSTS, 0.1), "budget must be a finite"),
        (lambda: jsplit.risk_controlled_cascade(TIED, 1.0), "risk must be"),
        (
            lambda: jsplit.risk_controlled_split(TIED, COSTS, 0.1, 0.0),
            "delta must lie strictly between",
        ),
        (
            lambda: stats.betting_p_value([0.5, 2.0], 0.5, low=0, high=1),
            "values must be from 0 to 1, got 0.5 to 2",
        ),
        (
            lambda: stats.betting_p_value([0.5], 1.0, low=0, high=1),
            "bound must be below high = 1",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(JsplitError, match=message):
        call()
