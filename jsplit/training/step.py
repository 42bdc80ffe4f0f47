"""The compiled programs of a training: one step, one batch of measuring.

Here: what runs on the devices. Not here: the loop around it (`loop`).

A step is a program of its own and not the body of a scan. On a CPU, XLA runs a
convolution inside a loop many times slower. Besides, no number of steps is compiled in:
any number of them can pass between two looks at the clock. Dispatch overlaps with work.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jsplit.data import augment
from jsplit.training import optimizer
from jsplit.training.loss import exit_losses, joint_loss
from jsplit.training.settings import Augment, Settings
from jsplit.types import JsplitError


class How(NamedTuple):
    """What is compiled into a step; hashable."""

    rule: optimizer.Rule
    augment: Augment
    bf16: bool

    @classmethod
    def of(cls, settings: Settings) -> "How":
        """Returns what settings ask to compile."""
        return cls(optimizer.Rule.of(settings), settings.augment, settings.bf16)


class Totals(NamedTuple):
    """Sums over the steps of an epoch."""

    loss: Any  # [] float32: joint loss of each batch
    correct: Any  # [L] int32

    @classmethod
    def zero(cls, num_exits: int) -> "Totals":
        """Returns the sums of no steps."""
        return cls(np.float32(0), np.zeros(num_exits, np.int32))


class State(NamedTuple):
    """All that changes from step to step, on the devices."""

    params: Any  # tree of weights
    rest: Any  # tree of what else the model holds: batch statistics, random states
    opt_state: Any
    totals: Totals


@jax.jit(static_argnames=("graphdef", "how"), donate_argnames="state")
def take_step(
    state: State,
    inputs: Array,
    labels: Array,
    exit_weights: Array,
    label_smoothing: Array,
    rates: optimizer.Rates,
    key: Array,
    step: Array,
    *,
    graphdef: Any,
    how: How,
) -> State:
    """Returns the state after one batch.

    The graph is static and the numbers are arguments, so a second training of the same
    network on data of the same shape compiles nothing.

    Args:
        state: where the training stands, consumed.
        inputs: [B, ...].
        labels: [B] int32, 0..C - 1.
        exit_weights: [L].
        label_smoothing: [] in [0, 1).
        rates: numbers of this step.
        key: typed key of the augmentation, the same in all steps.
        step: [] int32, steps taken before this one.
        graphdef: structure of the network in training mode.
        how: what is compiled in.
    """
    inputs = _augmented(inputs, jax.random.fold_in(key, step), how.augment)

    def loss_fn(params: Any) -> tuple[Array, tuple[Any, Array]]:
        # A copy belongs to this trace, so that the model may update its own state.
        given = _lower(params) if how.bf16 else params
        model = nnx.merge(graphdef, given, state.rest, copy=True)
        logits = model(inputs).astype(jnp.float32)
        rest = _like(nnx.split(model, nnx.Param, ...)[2], state.rest)
        correct = (logits.argmax(axis=-1) == labels[:, None]).sum(axis=0)
        loss = joint_loss(logits, labels, exit_weights, label_smoothing)
        return loss, (rest, correct.astype(jnp.int32))

    (loss, (rest, correct)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
        state.params
    )
    params, opt_state = optimizer.update(
        how.rule, rates, grads, state.opt_state, state.params
    )
    totals = Totals(state.totals.loss + loss, state.totals.correct + correct)
    return State(params, rest, opt_state, totals)


@jax.jit(static_argnames="graphdef")
def measure_batch(
    params: Any, rest: Any, inputs: Array, labels: Array, *, graphdef: Any
) -> tuple[Array, Array]:
    """Returns each exit's summed loss and number of correct answers.

    Args:
        params: weights.
        rest: what else the model holds.
        inputs: [B, ...].
        labels: [B] int32; -1 fills a batch up and does not count.
        graphdef: structure of the network in evaluation mode.

    Returns:
        loss: [L] float32, without smoothing.
        correct: [L] int32.
    """
    logits = nnx.merge(graphdef, params, rest, copy=True)(inputs).astype(jnp.float32)
    real = (labels >= 0)[:, None]
    losses = exit_losses(logits, jnp.maximum(labels, 0))
    correct = (logits.argmax(axis=-1) == labels[:, None]) & real
    return (
        jnp.where(real, losses, 0.0).sum(axis=0),
        correct.sum(axis=0).astype(jnp.int32),
    )


def default_devices() -> Sequence[Any]:
    """Returns all accelerators, or where there are none one device of the CPU.

    Each core of a CPU is a device, but the convolutions and products of one device use
    all cores: training on all devices gained nothing. Besides, XLA's all-reduce between
    cores ends the process when a busy machine keeps one waiting for 40 seconds.
    """
    devices = jax.devices()
    return devices[:1] if devices[0].platform == "cpu" else devices


class Placement:
    """Where arrays live: the samples of a batch split over devices, the rest copied.

    The program is written for the whole batch, and XLA splits it. So the loss, the
    gradient and the statistics of batch norm are those of the whole batch. The number
    of devices changes results by float rounding only.
    """

    def __init__(self, batch_size: int, devices: Sequence[Any] | None = None) -> None:
        """Takes the devices given, or as many of the default ones as divide the batch.

        Args:
            batch_size: B, samples of a batch.
            devices: devices whose number divides B. Default: see above.

        Raises:
            JsplitError: if there are no devices, or if B cannot be split evenly.
        """
        if devices is None:
            devices = default_devices()
            count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
        else:
            count = len(devices)
            if not count or batch_size % count:
                raise JsplitError(
                    f"devices must divide a batch, here of {batch_size} samples, into "
                    f"equal parts, got {count}"
                )
        mesh = Mesh(np.array(devices[:count]), ("batch",), axis_types=(AxisType.Auto,))
        self.num_devices = count
        # Programs with collectives must not overlap on a CPU, whose threads they share.
        self.one_at_a_time = count > 1 and devices[0].platform == "cpu"
        self._split = NamedSharding(mesh, PartitionSpec("batch"))
        self._copied = NamedSharding(mesh, PartitionSpec())

    def split(self, tree: Any) -> Any:
        """Returns arrays whose first axis is split over the devices."""
        return jax.device_put(tree, self._split)

    def copied(self, tree: Any) -> Any:
        """Returns arrays of their own on every device, safe to give away."""
        return jax.device_put(jax.tree.map(jnp.copy, tree), self._copied)


def _augmented(inputs: Array, key: Array, kind: Augment) -> Array:
    if kind == "none":
        return inputs
    crop_key, flip_key = jax.random.split(key)
    inputs = augment.random_crop(inputs, crop_key)
    return augment.random_flip(inputs, flip_key) if kind == "crop_flip" else inputs


def _lower(tree: Any) -> Any:
    """Returns a tree with its float32 arrays in bfloat16, to compute with."""
    return jax.tree.map(
        lambda x: x.astype(jnp.bfloat16) if x.dtype == jnp.float32 else x, tree
    )


def _like(tree: Any, wanted: Any) -> Any:
    """Returns a tree with the dtypes of another, such as float32 statistics."""

    def one(x: Any, like: Any) -> Any:
        return x if x.dtype == like.dtype else x.astype(like.dtype)

    return jax.tree.map(one, tree, wanted)
