"""The contract of policies/base.py, put to the selector of every registered policy.

A new policy is covered by its line in the registry alone. The README's example of a
policy of your own is held to the same.
"""

import contextlib
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import compilations, policy_of_the_readme, random_trace
from jax import lax

import jsplit
from jsplit.policies import contextual, forgetting, index, scaled, simple
from jsplit.policies.base import NoParams
from jsplit.policies.registry import REGISTRY, make_policy, policy_numbers
from jsplit.types import Feedback, Now, Prior, Protocol, RewardRange

pytestmark = pytest.mark.usefixtures("quick_compile")

K, LANES, STEPS = 4, 3, 12
CONTEXTS = 2
N, L = 100, 5  # the shapes of test_causality, so that both share programs

OWN = policy_of_the_readme()
POLICIES = {name: make_policy(name) for name in REGISTRY} | {"shrinking": OWN()}


# Rewards of the tests lie in [0, 1].
PRIOR = Prior(RewardRange(0.0, 1.0), np.linspace(0.1, 0.5, CONTEXTS, dtype=np.float32))


def selectors():
    """Every selector once, with numbers, by the first policy that uses it."""
    found = {}
    for name, policy in POLICIES.items():
        selector = policy.selector.over_contexts(CONTEXTS)
        if selector not in [one for one, _ in found.values()]:
            default = selector.default_params()
            params = default if policy.params is None else policy.params
            found[name] = selector, selector.with_prior(params, PRIOR)
    found["random_exit per run"] = simple.Uniform(per_run=True), NoParams()
    return found


SELECTORS = selectors()
every_selector = pytest.mark.parametrize("name", SELECTORS)


def feedback_of(arm, rewards, known, context):
    """What a step tells: of the played arm, or of every known one."""
    own = jnp.take_along_axis(rewards, arm[None], 0)[0]
    if known is None:
        return Feedback(arm, own, None, None, context)
    played = jnp.arange(K, dtype=arm.dtype).reshape(-1, *[1] * arm.ndim) == arm[None]
    return Feedback(arm, own, rewards, known | played, context)


def one_step(selector, params, state, t, key, rewards, known):
    # Lanes differ in their context by their first reward, which nobody sees yet.
    context = (rewards[0] < 0.5).astype(jnp.int32)
    arm = selector.select(params, state, key, Now(t, context))
    if selector.initial_plays:
        arm = jnp.where(t <= K, jnp.zeros_like(arm) + t - 1, arm)
    seen = feedback_of(arm, rewards, known, context)
    return selector.update(params, state, seen), arm


@functools.partial(jax.jit, static_argnums=0)
def episode(selector, params, keys, rewards, known):
    """The last state and the arms [T, *lanes] of T steps."""

    def step(state, inputs):
        return one_step(selector, params, state, *inputs)

    state = selector.init(params, K, keys.shape[1:])
    steps = jnp.arange(1, len(keys) + 1, dtype=jnp.int32)
    return lax.scan(step, state, (steps, keys, rewards, known))


def inputs(seed=0, *, lanes=(LANES,), steps=STEPS):
    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.key(seed), (steps, *lanes))
    rewards = jnp.asarray(rng.random((steps, K, *lanes)), jnp.float32)
    return keys, rewards, jnp.asarray(rng.random((steps, K, *lanes)) < 0.4)


def part_of(state, where):
    """One lane or row of a state; what has no lanes is the same in all."""
    return jax.tree.map(lambda leaf: leaf[where] if leaf.ndim else leaf, state)


def assert_close(one, other):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other
    )


@pytest.fixture(scope="module")
def blocks():
    """State and arms of a block under both kinds of feedback, by selector."""

    @functools.cache
    def run(name, everything):
        keys, rewards, known = inputs()
        return episode(*SELECTORS[name], keys, rewards, known if everything else None)

    return run


@every_selector
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("lanes", [(), (LANES,)], ids=["one", "block"])
def test_shapes_and_types_are_a_fixed_point(name, lanes, wide):
    selector, params = SELECTORS[name]
    with jax.enable_x64(wide):
        dtype = jnp.result_type(float)
        real = functools.partial(jax.ShapeDtypeStruct, dtype=dtype)
        count = jax.ShapeDtypeStruct(lanes, jnp.int32)
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), lanes))
        init = functools.partial(selector.init, num_arms=K, lanes=lanes)
        state = jax.eval_shape(init, params)
        now = Now(jax.ShapeDtypeStruct((), jnp.int32), count)
        arm = jax.eval_shape(selector.select, params, state, keys, now)
        assert (arm.shape, arm.dtype) == (lanes, jnp.int32)
        for leaf in jax.tree.leaves(state):
            assert leaf.shape == () or leaf.shape[leaf.ndim - len(lanes) :] == lanes
            assert leaf.dtype in (dtype, jnp.int32, jnp.bool_)
        known = jax.ShapeDtypeStruct((K, *lanes), jnp.bool_)
        for feedback in (
            Feedback(count, real(lanes), None, None, count),
            Feedback(count, real(lanes), real((K, *lanes)), known, count),
        ):
            after = jax.eval_shape(selector.update, params, state, feedback)
            assert jax.tree.structure(after) == jax.tree.structure(state)
            for new, old in zip(*map(jax.tree.leaves, (after, state)), strict=True):
                assert (new.shape, new.dtype) == (old.shape, old.dtype)
                assert not new.weak_type


@every_selector
@pytest.mark.parametrize("everything", [False, True], ids=["own", "known"])
def test_a_lane_of_a_block_is_a_run_of_its_own(name, everything, blocks):
    """And the block, compiled, does what it does step by step."""
    state, arms = blocks(name, everything)
    keys, rewards, known = inputs()
    for lane in range(LANES):
        single = (keys[:, lane], rewards[..., lane], known[..., lane])
        if not everything:
            single = (*single[:2], None)
        own, own_arms = episode(*SELECTORS[name], *single)
        np.testing.assert_array_equal(own_arms, arms[:, lane])
        assert_close(own, part_of(state, (..., lane)))


STRICT = [
    lambda: jax.debug_nans(True),
    lambda: jax.numpy_dtype_promotion("strict"),
    lambda: jax.numpy_rank_promotion("raise"),
    lambda: jax.debug_key_reuse(True),
]


@contextlib.contextmanager
def strict():
    with contextlib.ExitStack() as stack:
        for setting in STRICT:
            stack.enter_context(setting())
        yield


@every_selector
def test_step_by_step_and_strict_equals_compiled(name, blocks):
    """Not compiled, from zero counts on: no NaN, promotion or key used twice."""
    selector, params = SELECTORS[name]
    keys, rewards, known = inputs()
    _, arms = blocks(name, True)
    steps = K + 2
    with strict():
        state = selector.init(params, K, (LANES,))
        for t in range(1, steps + 1):
            now = (jnp.int32(t), keys[t - 1], rewards[t - 1], known[t - 1])
            state, arm = one_step(selector, params, state, *now)
            np.testing.assert_array_equal(arm, arms[t - 1])


@every_selector
def test_map_over_each_number_equals_a_loop(name, blocks):
    selector, params = SELECTORS[name]
    leaves, structure = jax.tree.flatten(params)
    if not leaves:
        assert isinstance(params, NoParams | scaled.UnitParams)
        return
    keys, rewards, _ = inputs()
    # Row i differs from the first in number i alone.
    rows = [list(leaves)]
    for i, leaf in enumerate(leaves):
        changed = leaf + 1 if isinstance(leaf, int) else 0.75 * leaf + 0.01
        rows.append([*leaves[:i], changed, *leaves[i + 1 :]])
    table = [jnp.asarray(column) for column in zip(*rows, strict=True)]
    single = (keys[:, 0], rewards[..., 0], None)
    batch = jax.tree.unflatten(structure, table)
    states, arms = jax.vmap(lambda one: episode(selector, one, *single))(batch)
    looped = [
        episode(selector, jax.tree.unflatten(structure, [c[i] for c in table]), *single)
        for i in range(len(rows))
    ]
    for i, (state, own_arms) in enumerate(looped):
        np.testing.assert_array_equal(arms[i], own_arms)
        assert_close(part_of(states, i), state)


def inside(selector):
    """The selector without its scaling."""
    return selector.selector if isinstance(selector, scaled.UnitRewards) else selector


BY_INDEX = {
    name
    for name, (selector, _) in SELECTORS.items()
    if isinstance(inside(selector), index.IndexSelector)
}
WITHOUT_DRAWS = {
    name
    for name, (selector, _) in SELECTORS.items()
    if isinstance(
        inside(selector),
        forgetting.SlidingWindowUCB
        | forgetting.DiscountedUCB
        | contextual.ContextualUCB
        | contextual.LinUCB,
    )
}


@pytest.mark.parametrize("name", sorted(BY_INDEX | WITHOUT_DRAWS))
def test_ties_go_to_the_lowest_arm(name):
    selector, params = SELECTORS[name]
    rewards = jnp.full((K, K), 0.5, jnp.float32)
    keys = jax.random.split(jax.random.key(0), K)
    state, arms = episode(selector, params, keys, rewards, None)
    assert arms.tolist() == [0, 1, 2, 3]
    now = Now(jnp.int32(K + 1), jnp.int32(0))
    assert selector.select(params, state, keys[0], now) == 0


@pytest.mark.parametrize("name", sorted(BY_INDEX))
def test_ties_behind_a_worse_arm_go_to_the_lowest(name):
    selector, params = SELECTORS[name]
    low = jnp.full((K, K), 0.5, jnp.float32).at[:, 0].set(0.1)
    keys = jax.random.split(jax.random.key(0), K)
    state, _ = episode(selector, params, keys, low, None)
    numbers = params if inside(selector) is selector else params.inner
    values = np.asarray(inside(selector).index(numbers, state, jnp.int32(K + 1)))
    assert (values[1:] == values[1]).all()
    now = Now(jnp.int32(K + 1), jnp.int32(0))
    assert selector.select(params, state, keys[0], now) == values.argmax()


# Numbers that compile another program.
STRUCTURE = {"window", "num_thresholds", "bins", "shallowest", "num_routes"}


@pytest.mark.parametrize("name", POLICIES)
def test_equal_policies_and_other_numbers_share_a_program(name, monkeypatch):
    """A program is fixed by the selector and by the types of the numbers."""
    monkeypatch.setitem(REGISTRY, "shrinking", OWN)
    policy, again = POLICIES[name], make_policy(name)
    assert policy.selector == again.selector
    assert hash(policy.selector) == hash(again.selector)
    for number, default in policy_numbers(name).items():
        if number in STRUCTURE:
            continue
        value = default + 1 if isinstance(default, int) else default * 0.5 or 0.5
        other = make_policy(name, **{number: value})
        assert other.selector == policy.selector
        kinds = [
            jax.tree.map(lambda leaf: jax.typeof(jnp.asarray(leaf)), one.params)
            for one in (policy, other)
        ]
        assert kinds[0] == kinds[1]
        changed = other.params != policy.params or any(
            not np.array_equal(a, b)
            for a, b in zip(
                *(one.plans(L, Protocol()) for one in (policy, other)), strict=True
            )
        )
        assert changed, number


@pytest.mark.usefixtures("x64")
def test_evaluate_compiles_nothing_for_other_numbers():
    """Programs have the shapes of test_causality, which compiles them anyway."""
    learners = [name for name in REGISTRY if POLICIES[name].params is not None]

    def other(name, alpha):
        known = policy_numbers(name)
        number = next(n for n in ("alpha", "beta", "xi", "eta") if n in known)
        routes = {"num_routes": 1} if "num_routes" in known else {}
        return make_policy(name, **{number: alpha}, **routes)

    def run(alpha, seed):
        policies = [other(name, alpha) for name in learners]
        costs = jsplit.Costs.splitee(L, offload=alpha / 2)
        return jsplit.evaluate(
            random_trace(N, L, seed=seed),
            policies,
            costs,
            num_replicas=1,
            record_arms=True,
        ).data

    first = run(0.7, 4)
    with compilations() as found:
        second = run(0.6, 5)
    assert found == []
    for result in (first, second):
        assert (result.pulls.sum("plan") == N).all()
        assert (result.pulls >= 0).all()


@pytest.mark.parametrize("name", ["splitee_s", "exp3", "glr_ucb"])
def test_engine_is_strict_too(name):
    with strict():
        result = jsplit.evaluate(
            random_trace(60, K, seed=1),
            [name],
            jsplit.Costs.splitee(K, offload=0.2),
            num_replicas=2,
        ).data
    assert np.isfinite(result.reward).all()


@dataclasses.dataclass(frozen=True)
class Forgetful(simple.Always):
    """Breaks the contract: its state changes type."""

    def update(self, params, state, feedback):
        return state._replace(arm=state.arm.astype(jnp.float32))


def test_a_state_that_changes_type_would_be_noticed(monkeypatch):
    monkeypatch.setitem(SELECTORS, "forgetful", (Forgetful(), NoParams()))
    with pytest.raises(AssertionError):
        test_shapes_and_types_are_a_fixed_point("forgetful", (LANES,), False)
