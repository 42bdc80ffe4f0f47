"""Change detection: UCB that starts over when a likelihood-ratio test sees a jump.

Here: GLR-UCB with a test of bounded cost, for rewards in [0, 1]. Not here: selectors
for slow drift (`forgetting`).
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jsplit import checks, pairs
from jsplit.pairs import Pair
from jsplit.policies.base import Policy, Selector, best_arm
from jsplit.policies.running import known_rewards
from jsplit.policies.scaled import on_unit_rewards
from jsplit.policies.splitee import ALPHA, over_splits
from jsplit.types import Feedback, Now

DELTA = 0.01
EXPLORATION = 0.05
EVERY = 16
LEVELS = 14  # splits up to 2^14 tests back, which is 262,144 steps at EVERY = 16
FAR = 2**30  # steps: never


class GLRParams(NamedTuple):
    """Numbers of `GLRUCB`."""

    delta: Array | float = DELTA  # [] largest chance of a false alarm of one test
    exploration: Array | float = EXPLORATION  # [] share of the steps played in turn
    every: Array | int = EVERY  # [] int32: steps from one test to the next


class Tally(NamedTuple):
    """Sums of rewards since the last restart."""

    total: Array  # [..., K, *lanes] float: sum of rewards
    known: Array  # [..., K, *lanes] float: number of rewards


class GLRState(NamedTuple):
    """State of `GLRUCB`."""

    tally: Tally  # now
    rest: Array  # [K, *lanes] float: what the sums of now lack, below their last bit
    # Earlier tallies: level b keeps the last two at tests whose number is a multiple of
    # 2^b.
    newer: Tally  # [levels, K, *lanes]
    older: Tally  # [levels, K, *lanes]
    rounds: Array  # [*lanes] int32: steps since the last restart
    step: Array  # [] int32: steps of the run


@dataclasses.dataclass(frozen=True)
class GLRUCB(Selector):
    """index_j = mean_j + sqrt(ln n / (2 n_j)) since the last restart, n steps ago.

    Of every floor(K / exploration) steps, the first K play the arms in turn. So a
    change of an arm that is never best is seen too. Each arm is tested every `every`
    steps. It has changed if its n_j rewards can be cut into the first a and the last b
    such that

        2 a b / n_j * (mean of the first a - mean of the last b)^2 > ln(3 n_j^1.5 /
        delta), a + b = n_j.

    The left side is the likelihood ratio of rewards of variance 1/4; the ratio of
    Bernoulli rewards is never smaller. One changed arm restarts all.

    Speed: 2 to 5 times UCB1's time per step, because of the tests.

    Attributes:
        levels: number of levels of cuts, >= 1; structure, so another number compiles
            again.

    Differences from the paper, all to bound the cost of a step:

    - The divergence and the index above replace the Bernoulli divergence and KL-UCB.
    - A test runs every `every` steps instead of every step.
    - A test tries few cuts: for each level b < `levels`, those at two earlier tests, at
      most 2^b tests ago and between 2^b and 2^(b+1) tests ago. For any change, one of
      these cuts lies after it and keeps at least a quarter of the rewards since it. So
      a change needs at most about four times the rewards to be seen.

    Reference:
        Besson, Kaufmann, Maillard and Seznec, JMLR 23, 2022, arXiv 1902.01575,
        algorithm 1 with global restarts and the threshold of section 6.
    """

    levels: int = LEVELS

    def default_params(self) -> GLRParams:
        """Returns delta = 0.01, exploration = 0.05 and a test every 16 steps."""
        return GLRParams()

    def init(
        self, params: GLRParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> GLRState:
        """Returns the state just after a restart."""
        del params
        zeros = jnp.zeros((num_arms, *lanes), jnp.result_type(float))
        past = jnp.zeros((self.levels, *zeros.shape), zeros.dtype)
        return GLRState(
            Tally(zeros, zeros),
            zeros,
            Tally(past, past),
            Tally(past, past),
            jnp.zeros(lanes, jnp.int32),
            jnp.int32(0),
        )

    def select(self, params: GLRParams, state: GLRState, key: Array, now: Now) -> Array:
        """Returns the arm in turn, or the one with the largest index."""
        del key, now
        total, known = state.tally
        num_arms, dtype = total.shape[0], total.dtype
        period = num_arms / jnp.maximum(jnp.asarray(params.exploration, dtype), 1e-9)
        period = jnp.minimum(period, FAR).astype(jnp.int32)
        turn = state.rounds % jnp.maximum(period, num_arms)
        inverse = 1 / jnp.maximum(known, 1)
        log = jnp.log(jnp.maximum(state.rounds, 1).astype(dtype))[None]
        index = total * inverse + jnp.sqrt(log / 2) * jnp.sqrt(inverse)
        return jnp.where(turn < num_arms, turn, best_arm(index))

    def update(
        self, params: GLRParams, state: GLRState, feedback: Feedback
    ) -> GLRState:
        """Returns the state with the revealed rewards added, or restarted."""
        total, known = state.tally
        seen, rewards = known_rewards(feedback, total.shape[0])
        sums = pairs.add(Pair(total, state.rest), jnp.where(seen, rewards, 0))
        tally = Tally(sums.high, known + seen.astype(known.dtype))
        step = state.step + 1
        after = state._replace(
            tally=tally, rest=sums.low, rounds=state.rounds + 1, step=step
        )
        number, rest = step // params.every, step % params.every
        # A loop of one round or none: XLA copies what a branch only passes through.
        return lax.fori_loop(
            0,
            (rest == 0).astype(jnp.int32),
            lambda _, after: self._test(params, after, number),
            after,
        )

    def _test(self, params: GLRParams, state: GLRState, number: Array) -> GLRState:
        """Returns the state after test `number`: restarted where an arm has changed."""
        tally, newer, older = state.tally, state.newer, state.older
        margins = (self._margin(params, tally, past) for past in (newer, older))
        changed = jnp.maximum(*margins).max(0) > 0
        level = jnp.arange(self.levels, dtype=jnp.int32)
        due = (number % (1 << level) == 0).reshape(-1, *([1] * tally.total.ndim))

        def refreshed(past: Array, now: Array) -> Array:
            return jnp.where(changed[None, None], 0, jnp.where(due, now, past))

        return GLRState(
            Tally(*(jnp.where(changed[None], 0, now) for now in tally)),
            jnp.where(changed[None], 0, state.rest),
            Tally(
                *(
                    refreshed(past, now[None])
                    for past, now in zip(newer, tally, strict=True)
                )
            ),
            Tally(*map(refreshed, older, newer)),
            jnp.where(changed, 0, state.rounds),
            state.step,
        )

    def _margin(self, params: GLRParams, tally: Tally, past: Tally) -> Array:
        """Returns how far each arm exceeds the bound of the test, `[K, *lanes]`.

        With m the mean of all n rewards and S_a the sum of the first a, the ratio is
        2 n (S_a - m a)^2 / (a b). Ratio and bound are multiplied by a b, so that no cut
        takes a division.
        """
        total, known = tally
        counted = jnp.maximum(known, 1)
        bound = jnp.log(3 / jnp.asarray(params.delta, known.dtype))
        bound = bound + 1.5 * jnp.log(counted)
        before, after = past.known, known[None] - past.known
        gap = past.total - (total / counted)[None] * before
        margin = 2 * known[None] * gap**2 - bound[None] * before * after
        # An empty part differs from nothing, but rounding may feign it.
        return jnp.where(after > 0, margin, 0).max(0)


def glr_ucb(
    *,
    alpha: float = ALPHA,
    delta: float = DELTA,
    exploration: float = EXPLORATION,
    every: int = EVERY,
) -> Policy:
    """GLR-UCB over splits: UCB that starts over when a test sees a reward jump.

    See `GLRUCB`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        delta: largest chance of a false alarm of one test, in [1e-30, 1]; published
            1/sqrt(T), which is 0.01 for T = 10,000.
        exploration: share of the steps played in turn, in [0, 1]; 0 = only after a
            restart.
        every: steps from one test to the next, 1..1,000,000.
    """
    params = GLRParams(
        checks.number("delta", delta, 1e-30, 1.0),
        checks.number("exploration", exploration, 0.0, 1.0),
        checks.integer("every", every, 1, 1_000_000),
    )
    return over_splits("glr_ucb", *on_unit_rewards(GLRUCB(), params), alpha=alpha)
