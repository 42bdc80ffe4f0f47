"""The joint loss of all exits.

Here: the loss alone. Not here: how it is minimised (`optimizer`, `step`).
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def exit_losses(
    logits: Array, labels: Array, label_smoothing: ArrayLike = 0.0
) -> Array:
    """Returns the cross-entropy of every sample at every exit.

    With p = softmax(logits_bi) and smoothing s, the target puts 1 - s on the label
    and s / C on each class: -(1 - s) ln p_label - s / C * sum_c ln p_c.

    Args:
        logits: [B, L, C].
        labels: [B] int, 0..C - 1.
        label_smoothing: [] s in [0, 1).

    Returns:
        [B, L] losses, in nats.
    """
    log_p = jax.nn.log_softmax(logits)
    of_label = jnp.take_along_axis(log_p, labels[:, None, None], axis=-1)[..., 0]
    smoothing = jnp.asarray(label_smoothing, log_p.dtype)
    return -(1 - smoothing) * of_label - smoothing * log_p.mean(axis=-1)


def joint_loss(
    logits: Array,
    labels: Array,
    exit_weights: Array,
    label_smoothing: ArrayLike = 0.0,
) -> Array:
    """Returns the joint loss of all exits: sum_i w_i * mean_b CE(logits_bi, label_b).

    Args:
        logits: [B, L, C].
        labels: [B] int, 0..C - 1.
        exit_weights: [L] weight w_i of each exit.
        label_smoothing: [] share in [0, 1) of each target spread over all classes.

    Returns:
        [] the loss, in nats.
    """
    losses = exit_losses(logits, labels, label_smoothing)
    return jnp.sum(exit_weights * losses.mean(axis=0))
