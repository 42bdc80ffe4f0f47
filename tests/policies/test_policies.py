"""Names, labels and plans of the policies, against numbers worked out by hand."""

import inspect
import math
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jsplit
from jsplit.environment import outcomes
from jsplit.evaluation import feedback
from jsplit.policies import plans
from jsplit.policies.index import UCB, UCBParams
from jsplit.policies.registry import (
    REGISTRY,
    make_policy,
    parse_policy,
    policy_names,
    policy_numbers,
    policy_summary,
)
from jsplit.types import Feedback, Now, Protocol

pytestmark = pytest.mark.core

README = pathlib.Path(__file__).parents[2] / "README.md"
SHIPPED = 3  # the exit taken by a shipped sample of a 3-exit network


def test_readme_lists_every_policy():
    rows = re.findall(r"^\| *`(\w+)`? *", README.read_text(encoding="utf-8"), re.M)
    assert [row for row in rows if row in REGISTRY] == policy_names()


def test_names_are_those_of_the_package():
    assert policy_names() == list(REGISTRY) == jsplit.policy_names()


@pytest.mark.parametrize("name", policy_names())
def test_every_policy_builds_with_its_defaults(name):
    policy = make_policy(name)
    assert policy.name == name
    assert list(inspect.signature(REGISTRY[name]).parameters) == list(
        policy_numbers(name)
    )
    for protocol in (Protocol(), Protocol.named("released")):
        plan = policy.plans(5, protocol)
        num_plans = plan.depth.shape[0]
        assert plan.threshold.shape == plan.heads.shape == (num_plans, 5)
        assert plan.depth.shape == plan.delay.shape == (num_plans,)
        assert plan.depth.dtype == plan.delay.dtype == np.int32
        assert not np.isnan(plan.threshold).any()


@pytest.mark.parametrize("name", policy_names())
def test_every_policy_has_a_summary_of_one_line(name):
    summary = policy_summary(name)
    assert 20 < len(summary) <= 80
    assert summary.endswith(".")
    assert (inspect.getdoc(REGISTRY[name]) + "\n").split("\n\n")[0].strip() == summary


LABELS = [
    *policy_names(),
    "splitee(alpha=0.8)",
    "splitee(alpha=0.8, beta=0.5)",
    "fixed_split(depth=3, alpha=0.25)",
    "offload_all(depth=2)",
    "entropy_cascade(threshold=0)",
    "patience_cascade(patience=3)",
]


@pytest.mark.parametrize("label", LABELS)
def test_label_is_read_back_as_the_same_policy(label):
    policy = parse_policy(label)
    again = parse_policy(policy.label)
    assert again.label == policy.label
    assert again.numbers == policy.numbers
    assert again.alpha == policy.alpha
    assert again.params == policy.params
    one, two = (p.plans(4, Protocol()) for p in (policy, again))
    jax.tree.map(np.testing.assert_array_equal, one, two)
    if "(" in label:
        assert policy.label == label


def test_label_may_be_written_with_any_spaces():
    assert parse_policy(" splitee ( beta=.5 ,alpha = .8 ) ").numbers == {
        "beta": 0.5,
        "alpha": 0.8,
    }
    assert parse_policy("splitee()").label == "splitee"


# Three exits; the thresholds below lie between these scores or on them.
SCORES = {
    "unsure": [0.1, 0.2, 0.3],
    "grows": [0.5, 0.7, 0.9],
    "sure at once": [0.9, 0.6, 0.8],
}
COSTS = jsplit.Costs([1, 2, 4], head=[0.1, 0.2, 0.4], offload=[10, 20, 40])


def taken(plan):
    return [
        int(outcomes.taken_exit(plan, jnp.asarray(score))) for score in SCORES.values()
    ]


def billed(plan, *, all_heads=False):
    table = outcomes.cost_table(COSTS)
    return np.asarray(outcomes.plan_costs(plan, table, all_heads=all_heads)).tolist()


# What each plan does with the three samples, and its costs of stopping at exit 1, 2, 3
# and of shipping.
HAND = {
    "split at 1": (
        plans.split(3, 1, 0.7),
        [SHIPPED, SHIPPED, 0],
        [1.1, 2.1, 4.1, 11.1],
    ),
    "split at 2": (
        plans.split(3, 2, 0.7),
        [SHIPPED, 1, SHIPPED],  # 0.7 reaches 0.7; exit 1 is not looked at
        [1.0, 2.2, 4.2, 22.2],
    ),
    "split at 2, all heads": (
        plans.split(3, 2, 0.7, all_heads=True),
        [SHIPPED, 1, SHIPPED],
        [1.1, 2.3, 4.3, 22.3],
    ),
    "split at 3 never ships": (
        plans.split(3, 3, 1.0),
        [2, 2, 2],
        [1.0, 2.0, 4.4, 44.4],
    ),
    "split at 2, always sure": (plans.split(3, 2, 0.0), [1, 1, 1], None),
    "exit at 1": (plans.exit_at(3, 1), [0, 0, 0], [1.1, 2.1, 4.1, 11.1]),
    "exit at 2": (plans.exit_at(3, 2), [1, 1, 1], [1.0, 2.2, 4.2, 22.2]),
    "exit at 3, all heads": (
        plans.exit_at(3, 3, all_heads=True),
        [2, 2, 2],
        [1.1, 2.3, 4.7, 44.7],
    ),
    "offload all": (plans.offload_all(3), [SHIPPED] * 3, [1, 2, 4, 11]),
    "offload all after 2": (plans.offload_all(3, 2), [SHIPPED] * 3, [1, 2, 4, 22]),
    "cascade": (plans.cascade(3, 0.7), [2, 1, 0], [1.1, 2.3, 4.7, 44.7]),
    "cascade, one late": (plans.cascade(3, 0.7, delay=1), [2, 2, 1], None),
    "cascade that never stops": (plans.cascade(3, 2.0), [2, 2, 2], None),
}


@pytest.mark.parametrize(("plan", "exits", "costs"), HAND.values(), ids=list(HAND))
def test_plan_does_what_its_docstring_says(plan, exits, costs):
    assert taken(plan) == exits
    if costs is not None:
        np.testing.assert_allclose(billed(plan), costs, rtol=1e-6)


def test_counting_all_heads_ignores_which_the_plan_evaluates():
    everything = [1.1, 2.3, 4.7]
    np.testing.assert_allclose(
        billed(plans.offload_all(3, 2), all_heads=True), [*everything, 22.3], rtol=1e-6
    )
    np.testing.assert_allclose(
        billed(plans.split(3, 1, 0.5), all_heads=True), [*everything, 11.1], rtol=1e-6
    )


def test_stack_keeps_the_order_of_plans():
    stacked = plans.stack([plans.split(3, depth, 0.7) for depth in (2, 1)])
    assert stacked.depth.tolist() == [2, 1]
    assert stacked.heads.tolist() == [[False, True, False], [True, False, False]]
    assert stacked.threshold.tolist() == [[np.inf, 0.7, np.inf], [0.7, np.inf, np.inf]]


def test_revealed_by_hand():
    """Splits after 1, 2 and 3 of three samples; rows: played, columns: revealed."""
    splits = plans.stack([plans.split(3, depth, 0.7) for depth in (1, 2, 3)])
    exits = jnp.asarray([[SHIPPED, 1, 2], [0, SHIPPED, 2], [SHIPPED, SHIPPED, 2]])
    yes, no = True, False

    released = feedback.side_information(splits, exits, strict=False, lossless=True)
    lower = [[yes, no, no], [yes, yes, no], [yes, yes, yes]]
    assert released.tolist() == [lower] * 3

    strict = feedback.side_information(splits, exits, strict=True, lossless=True)
    assert strict.tolist() == [
        # Split 1 ships: what the cloud says is unknown when split 2 answers itself.
        [[yes, no, no], [no, yes, no], [yes, yes, yes]],
        [[yes, no, no], [yes, yes, no], [yes, yes, yes]],
        [[yes, no, no], [yes, yes, no], [yes, yes, yes]],
    ]

    lossy = feedback.side_information(splits, exits, strict=True, lossless=False)
    assert lossy.tolist() == [
        # The cloud answers differently for every split: a shipped one knows itself.
        [[yes, no, no], [no, yes, no], [no, yes, yes]],
        [[yes, no, no], [yes, yes, no], [yes, no, yes]],
        [[yes, no, no], [no, yes, no], [no, no, yes]],
    ]


@pytest.mark.parametrize("beta", [1.0, math.sqrt(2)])
def test_ucb_index_by_hand(x64, beta):
    """Two arms over four rounds: arm 0 pays 0.5, arm 1 pays 0.25 and then 0.75."""
    selector, params, key = UCB(), UCBParams(beta), jax.random.key(0)
    assert selector.initial_plays
    state = selector.init(params, 2)

    def play(state, arm, reward):
        feedback = Feedback(jnp.int32(arm), jnp.float64(reward), None, None)
        return selector.update(params, state, feedback)

    def index(t):
        return np.asarray(selector.index(params, state, jnp.int32(t)))

    np.testing.assert_array_equal(index(1), [0, 0])  # nothing known, ln 1 = 0
    state = play(state, 0, 0.5)
    np.testing.assert_allclose(index(2), [0.5 + beta * math.sqrt(math.log(2)), 0])
    state = play(state, 1, 0.25)
    bonus = beta * math.sqrt(math.log(3))
    np.testing.assert_allclose(index(3), [0.5 + bonus, 0.25 + bonus])
    assert selector.select(params, state, key, Now(jnp.int32(3), None)) == 0
    state = play(state, 1, 0.75)  # mean 0.5 of two
    bonus = beta * math.sqrt(math.log(4))
    np.testing.assert_allclose(index(4), [0.5 + bonus, 0.5 + bonus / math.sqrt(2)])
    assert selector.select(params, state, key, Now(jnp.int32(4), None)) == 0


def test_ucb_learns_every_revealed_arm(x64):
    selector, params = UCB(), UCBParams(1.0)
    state = selector.init(params, 3)
    rewards, revealed = jnp.asarray([0.5, 0.25, 9.0]), jnp.asarray([True, True, False])
    feedback = Feedback(jnp.int32(1), jnp.float64(0.25), rewards, revealed)
    state = selector.update(params, state, feedback)
    np.testing.assert_array_equal(state.mean, [0.5, 0.25, 0])
    bonus = math.sqrt(math.log(2))  # for one reward; arm 2 has none yet
    index = selector.index(params, state, jnp.int32(2))
    np.testing.assert_allclose(index, [0.5 + bonus, 0.25 + bonus, 0])
