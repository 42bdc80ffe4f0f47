"""No policy acts on what its device never computed: alter that, and nothing changes.

A pass visits every sample once, so what was computed for a sample follows from the one
plan that was played on it. All the rest of the trace is then overwritten and the same
stream replayed: arms, rewards and decisions must be the same to the last bit.
"""

import dataclasses
import sys

import jax
import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit.engine.tables import BEST_SHIFT
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import bind, prepare
from jsplit.policies.registry import REGISTRY
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

N, L = 100, 5  # the shapes of test_invariance, so that both share programs
COSTS = jsplit.Costs.splitee(L, offload=0.2)
EVEN = jsplit.Costs.splitee(L, offload=1.0)  # as much as an error
NUMBERS = {"route_ucb": {"num_routes": 1}}  # a trace has one route


def make(name):
    return jsplit.make_policy(name, **NUMBERS.get(name, {}))


COMPETITORS = [name for name in REGISTRY if not make(name).privileged]
NEED_PREDICTIONS = [
    name for name in COMPETITORS if make(name).learns in ("agreement", "disagreement")
]
PAPER = jsplit.Protocol()
RELEASED = jsplit.Protocol.named("released")
PEEKING = jsplit.Protocol(side_information="released")


def scores(policy, trace):
    """What the policy's plans look at, [N, L], without the library's own code."""
    if policy.score == "confidence":
        return trace.confidence
    if policy.score == "entropy":
        return -trace.entropy
    count = np.zeros((N, L))
    for i in range(1, L):
        same = trace.prediction[:, i] == trace.prediction[:, i - 1]
        count[:, i] = (count[:, i - 1] + 1) * same
    return count


def what_was_computed(policy, trace, protocol, order, arms):
    """Heads evaluated on the device [N, L], and splits whose cloud answered [N, L]."""
    plans, score = policy.plans(L, protocol), scores(policy, trace)
    device, cloud = np.zeros((2, N, L), bool)
    for n, arm in zip(order, arms, strict=True):
        threshold, depth, heads, delay, _ = (field[arm] for field in plans)
        stops = [i for i in range(depth) if score[n, i] >= threshold[i]]
        if not stops and depth < L:
            cloud[n, depth - 1] = True
            last = depth - 1
        else:
            last = min((stops or [L - 1])[0] + delay, L - 1)
        device[n, : last + 1] = heads[: last + 1]
    return device, cloud


def altered(trace, device, cloud, fill, *, seed=1):
    """The trace with everything that was not computed overwritten, labels kept.

    With a lossless link the cloud's answer is exit L's, so either tells the other and
    the altered trace is lossless too.
    """
    if trace.lossless:
        known = device[:, -1] | cloud.any(1)
        device = device.copy()
        device[:, -1] = known
    rng = np.random.default_rng(seed)
    noise = rng.random((N, L)) if fill == "random" else np.full((N, L), float(fill))
    prediction = np.where(device, trace.prediction, rng.integers(0, 5, (N, L)))
    confidence = np.where(device, trace.confidence, noise)
    remote = {}
    if not trace.lossless:
        remote["remote_confidence"] = np.where(cloud, trace.remote_confidence, noise)
        guess = rng.random((N, L)) < 0.5
        remote["remote_correct"] = np.where(cloud, trace.remote_correct, guess)
    return jsplit.Trace.from_arrays(
        confidence,
        prediction,
        trace.label,
        entropy=np.where(device, trace.entropy, 2 - 2 * noise),
        **remote,
    )


def play(policy, trace, protocol):
    result = jsplit.evaluate(
        trace,
        [policy],
        COSTS,
        num_replicas=1,
        protocol=protocol,
        seed=11,
        record_arms=True,
    ).data
    return result.isel(policy=0, replica=0)


def steps(policy, trace, protocol, run):
    """Reward, correctness, cost number and shipped bit of every step of a run."""
    bound = bind([prepare(policy, Scenario.of(trace, COSTS), protocol)])
    tables = jax.tree.map(lambda leaf: leaf[0], bound.tables)
    cell = run.order.values * tables.num_plans + run.arm.values
    # All but whether no plan was better, which only the whole trace can tell.
    seen = np.asarray(tables.cell)[cell] & ~(1 << BEST_SHIFT)
    return np.asarray(tables.reward)[cell], seen


def changes(policy, trace, protocol, fill):
    """What a run and its replay on the altered trace differ in, by name."""
    run = play(policy, trace, protocol)
    assert np.unique(run.order.values).size == N
    device, cloud = what_was_computed(
        policy, trace, protocol, run.order.values, run.arm.values
    )
    if protocol.initial_plays == "free":
        # These samples are seen twice; leave all of them as they were.
        device[run.order.values[:L]] = cloud[run.order.values[:L]] = True
    other = altered(trace, device, cloud, fill)
    assert other.lossless == trace.lossless
    assert (other.confidence != trace.confidence).any() or device.all()
    again = play(policy, other, protocol)
    np.testing.assert_array_equal(run.order, again.order)
    differs = {
        name
        for name in ("arm", "pulls", "reward", "cost", "accuracy", "offloaded")
        if not np.array_equal(run[name], again[name])
    }
    before = steps(policy, trace, protocol, run)
    after = steps(policy, other, protocol, again)
    if not all(map(np.array_equal, before, after)):
        differs.add("steps")
    return differs


def mixed_trace(*, lossy=False):
    """A trace on which every exit answers some samples and ships others."""
    base = random_trace(N, L, seed=4, lossy=lossy)
    remote = {}
    if lossy:
        remote["remote_confidence"] = base.remote_confidence
        remote["remote_correct"] = base.remote_correct
    return jsplit.Trace.from_arrays(
        0.4 + 0.6 * np.random.default_rng(6).random((N, L)),
        base.prediction,
        base.label,
        entropy=base.entropy,
        **remote,
    )


@pytest.fixture(scope="module")
def trace():
    return mixed_trace()


@pytest.fixture(scope="module")
def lossy():
    return mixed_trace(lossy=True)


@pytest.mark.parametrize("fill", ["random", 0, 1])
@pytest.mark.parametrize("name", COMPETITORS)
@pytest.mark.usefixtures("x64")
def test_policy_ignores_what_was_not_computed(name, fill, trace):
    policy = make(name)
    assert changes(policy, trace, PAPER, fill) == set()


@pytest.mark.parametrize(
    "name", [name for name in COMPETITORS if name not in NEED_PREDICTIONS]
)
@pytest.mark.usefixtures("x64")
def test_policy_ignores_what_was_not_computed_on_a_lossy_link(name, lossy):
    """There the cloud's answer to one split says nothing about the others."""
    assert changes(make(name), lossy, PAPER, "random") == set()


@pytest.mark.parametrize("name", NEED_PREDICTIONS)
def test_policy_that_learns_from_predictions_refuses_a_lossy_link(name, lossy):
    with pytest.raises(JsplitError, match=f"policy {name} .* needs .* a lossless link"):
        play(make(name), lossy, PAPER)


@pytest.mark.parametrize("fill", ["random", 0, 1])
@pytest.mark.usefixtures("x64")
def test_hil_n_does_not_guess_where_shipping_costs_as_much_as_an_error(
    fill, trace, monkeypatch
):
    """There the lesson of shipping is that of a wrong answer, but for 2^-30."""
    monkeypatch.setattr(sys.modules[__name__], "COSTS", EVEN)
    assert changes(make("hil_n"), trace, PAPER, fill) == set()


@pytest.mark.usefixtures("x64")
def test_hil_f_is_not_causal(trace):
    """It is told what accepting would have cost, which takes shipping: privileged."""
    assert "arm" in changes(make("hil_f"), trace, PAPER, 0)


@pytest.mark.parametrize("name", ["hi_lcb", "hil_n"])
@pytest.mark.usefixtures("x64")
def test_policies_that_accept_leave_answers_of_the_cloud_unseen(
    name, trace, monkeypatch
):
    """The tests above could fail: there is much that they never learn."""
    monkeypatch.setattr(sys.modules[__name__], "COSTS", EVEN)
    run = play(make(name), trace, PAPER)
    _, cloud = what_was_computed(
        make(name), trace, PAPER, run.order.values, run.arm.values
    )
    assert 5 <= cloud.any(1).sum() <= N - 20


@pytest.mark.parametrize("name", COMPETITORS)
@pytest.mark.usefixtures("x64")
def test_policy_ignores_labels(name, trace):
    policy = make(name)
    label = (trace.label + 2) % 5  # wrong answers are label + 1: none is right now
    relabelled = dataclasses.replace(
        trace,
        label=label,
        correct=trace.prediction == label[:, None],
        remote_correct=np.broadcast_to(
            (trace.prediction[:, -1:] == label[:, None]), (N, L)
        ),
    )
    run, again = play(policy, trace, PAPER), play(policy, relabelled, PAPER)
    for what in ("arm", "reward", "cost", "offloaded"):
        np.testing.assert_array_equal(run[what], again[what])
    assert run.accuracy > 0.4
    assert again.accuracy == 0


@pytest.mark.parametrize("protocol", [PEEKING, RELEASED], ids=["switch", "released"])
@pytest.mark.usefixtures("x64")
def test_released_side_information_is_not_causal(protocol, trace):
    """The test above can fail: this switch credits arms with what nobody computed."""
    policy = jsplit.make_policy("splitee_s")
    assert "arm" in changes(policy, trace, protocol, 0)


@pytest.mark.usefixtures("x64")
def test_splitee_s_leaves_much_unseen_that_could_mislead_it(trace):
    policy = jsplit.make_policy("splitee_s")
    run = play(policy, trace, PAPER)
    device, cloud = what_was_computed(
        policy, trace, PAPER, run.order.values, run.arm.values
    )
    final_unknown = ~(device[:, -1] | cloud.any(1))
    shallower_would_ship = (device[:, :-1] & (trace.confidence[:, :-1] < 0.7)).any(1)
    assert (final_unknown & shallower_would_ship).sum() >= 5
    assert final_unknown.sum() >= 20


@pytest.mark.usefixtures("x64")
def test_released_splitee_without_side_information_is_causal(trace):
    policy = jsplit.make_policy("splitee")
    assert changes(policy, trace, RELEASED, 0) == set()
