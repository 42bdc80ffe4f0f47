"""One step of an optimizer with a learning rate for the blocks and one for the heads.

Here: schedules, decay, clipping, the update. Not here: gradients (`step`).

All numbers are arguments of the compiled step, so that new ones compile nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jsplit.training.settings import Decay, Optimizer, Settings

MOMENTUM = 0.9  # of SGD
NOT_WEIGHTS = ("bias", "scale")  # what NNX calls what should not decay


class Rule(NamedTuple):
    """What the compiled step must know of the optimizer; hashable."""

    optimizer: Optimizer
    decay: Decay
    clips: bool

    @classmethod
    def of(cls, settings: Settings) -> "Rule":
        """Returns the rule of settings."""
        return cls(settings.optimizer, settings.decay, settings.clip_norm is not None)


class Rates(NamedTuple):
    """The numbers of one step, [] float32 each."""

    blocks: Any  # learning rate
    heads: Any  # learning rate of `model.heads`
    weight_decay: Any
    clip_norm: Any  # not used unless the rule clips


def rates_at(settings: Settings, step: int, num_steps: int) -> Rates:
    """Returns the numbers of step `step` = 0..`num_steps` - 1.

    With W = round(warmup * num_steps) the rate is (step + 1) / W of its highest value
    while step < W, and then falls with u = (step - W) / (num_steps - W): cosine
    (1 + cos(pi u)) / 2, linear 1 - u, constant 1.
    """
    rising = round(settings.warmup * num_steps)
    if step < rising:
        share = (step + 1) / rising
    else:
        u = (step - rising) / (num_steps - rising)
        share = {
            "cosine": (1 + np.cos(np.pi * u)) / 2,
            "linear": 1 - u,
            "constant": 1.0,
        }[settings.schedule]
    heads = settings.head_learning_rate or settings.learning_rate
    return Rates(
        *map(
            np.float32,
            (
                share * settings.learning_rate,
                share * heads,
                settings.weight_decay,
                settings.clip_norm or np.inf,
            ),
        )
    )


def init(rule: Rule, params: Any) -> Any:
    """Returns the optimizer's state before the first step."""
    return _moments(rule).init(params)


def update(
    rule: Rule, rates: Rates, grads: Any, opt_state: Any, params: Any
) -> tuple[Any, Any]:
    """Takes one step against the gradient.

    Args:
        rule: what is compiled in.
        rates: numbers of this step.
        grads: gradient of the loss, a tree like `params`.
        opt_state: state from `init` or the step before.
        params: weights before the step.

    Returns:
        params: the new weights.
        opt_state: the new state.
    """

    def decayed(tree: Any) -> Any:
        def one(path: Any, value: Array, weight: Array) -> Array:
            return value + rates.weight_decay * weight if decays(path) else value

        return jax.tree.map_with_path(one, tree, params)

    def decays(path: Any) -> bool:
        return rule.decay == "all" or not set(_names(path)) & set(NOT_WEIGHTS)

    def step(path: Any, weight: Array, move: Array) -> Array:
        rate = rates.heads if _names(path)[0] == "heads" else rates.blocks
        return weight - rate * move

    if rule.clips:
        norm = optax.tree.norm(grads)
        shorter = jnp.minimum(1.0, rates.clip_norm / jnp.maximum(norm, 1e-12))
        grads = jax.tree.map(lambda grad: grad * shorter, grads)
    if rule.optimizer != "adamw":
        grads = decayed(grads)
    # Adam in optax mixes float and int32, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        moves, opt_state = _moments(rule).update(grads, opt_state)
    if rule.optimizer == "adamw":
        moves = decayed(moves)
    return jax.tree.map_with_path(step, params, moves), opt_state


def _moments(rule: Rule) -> optax.GradientTransformation:
    return optax.trace(MOMENTUM) if rule.optimizer == "sgd" else optax.scale_by_adam()


def _names(path: Any) -> list[str]:
    """Returns the names along a path in a tree of weights: ["heads", "0", ...]."""
    return jax.tree_util.keystr(path, simple=True, separator=" ").split(" ")
