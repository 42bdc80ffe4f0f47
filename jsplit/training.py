"""Training all exits of a network together.

Here: the joint loss, the loop and its log. Not here: networks (`models`), data
(`data`), or what to do with a trained network (`recording`).
Called by `cli`, experiments and users.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.data import check_examples
from jsplit.models.multi_exit import logits_shape
from jsplit.types import JsplitError

WARMUP = 0.1  # share of all steps in which the learning rate rises
WEIGHT_DECAY = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class TrainLog:
    """What happened, epoch by epoch, measured on the training batches as they came.

    Attributes:
        loss: [epochs] float32 mean joint loss.
        accuracy: [epochs, L] float32 share of correct answers of each exit.
        seconds: Wall time of the whole training, compiling included.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    seconds: float


def joint_loss(logits: Array, labels: Array, exit_weights: Array) -> Array:
    """Returns the joint loss of all exits: sum_i w_i * mean_b CE(logits_bi, label_b).

    Args:
        logits: [B, L, C].
        labels: [B] int, 0..C - 1.
        exit_weights: [L] w.

    Returns:
        [] the loss, in nats.
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.broadcast_to(labels[:, None], logits.shape[:2])
    )
    return jnp.sum(exit_weights * losses.mean(axis=0))


def train(
    model: nnx.Module,
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    num_epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-2,
    exit_weights: Sequence[float] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> TrainLog:
    """Trains all exits of a model together and in place.

    AdamW on `joint_loss`; the learning rate rises linearly over the first tenth of
    the steps and then falls along a cosine to zero. An epoch is one compiled scan
    over shuffled batches. The last N mod `batch_size` samples of each shuffle are
    left out, so that all batches have one shape; they differ from epoch to epoch.

    Args:
        model: Network giving logits [B, L, C] for a batch of inputs, such as
            `jsplit.models.CNN`. Its weights are changed.
        inputs: [N, ...] finite, for the CNN [N, H, W, channels].
        labels: [N] classes, 0..C - 1.
        num_epochs: Passes over the data, >= 1.
        batch_size: Samples per step, >= 1; at most N are used.
        learning_rate: Highest learning rate, > 0.
        exit_weights: [L] weight >= 0 of each exit's loss. Default: 1 / L each.
        seed: Order of the samples, >= 0. The same model, data and seed give the
            same weights, bit for bit, on the same machine.
        progress: Whether to show a progress bar with loss and final-exit accuracy.

    Returns:
        Loss and accuracy of each epoch.

    Raises:
        JsplitError: An argument is out of shape or range, or the loss became NaN
            or infinite.

    Example:
        >>> from flax import nnx
        >>> from jsplit.data.digits import load_digits_splits
        >>> from jsplit.models import CNN
        >>> from jsplit.training import train
        >>> data, _ = load_digits_splits()
        >>> model = CNN(10, widths=(4, 4), rngs=nnx.Rngs(0))
        >>> log = train(model, data.inputs, data.labels, num_epochs=2, progress=False)
        >>> log.accuracy.shape
        (2, 2)
    """
    started = time.perf_counter()
    num_epochs = checks.integer("num_epochs", num_epochs, 1)
    batch_size = checks.integer("batch_size", batch_size, 1)
    learning_rate = checks.number("learning_rate", learning_rate)
    if learning_rate <= 0:
        raise JsplitError(f"learning_rate must be > 0, got {learning_rate}")
    key = jax.random.key(checks.integer("seed", seed, 0, 2**32 - 1))
    if not isinstance(model, nnx.Module):
        raise JsplitError(f"model must be an nnx.Module, got {type(model).__name__}")
    inputs, labels = check_examples(inputs, labels)
    batch_size = min(batch_size, len(inputs))

    # Dropout on and batch statistics in use, where a model has them.
    learner = nnx.view(
        model,
        deterministic=False,
        use_running_average=False,
        raise_if_not_found=False,
    )
    graphdef, params, rest = nnx.split(learner, nnx.Param, ...)
    num_exits, num_classes = logits_shape(learner, inputs[:1])
    inputs, labels = check_examples(inputs, labels, num_classes)
    weights = _exit_weights(exit_weights, num_exits)

    schedule = _Schedule(
        np.float32(learning_rate), np.int32(num_epochs * (len(inputs) // batch_size))
    )
    carry = _Carry(params, rest, _optimizer(schedule).init(params))
    inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
    losses, accuracies = [], []
    with _bar(num_epochs, show=progress) as advance:
        for epoch, epoch_key in enumerate(jax.random.split(key, num_epochs), start=1):
            carry, loss, accuracy = _run_epoch(
                carry,
                schedule,
                inputs,
                labels,
                weights,
                epoch_key,
                graphdef=graphdef,
                batch_size=batch_size,
            )
            losses.append(float(loss))
            accuracies.append(np.asarray(accuracy))
            if not np.isfinite(losses[-1]):
                raise JsplitError(
                    f"learning_rate must be lower than {learning_rate:g} here: the "
                    f"loss became {losses[-1]} in epoch {epoch}"
                )
            advance(losses[-1], accuracies[-1][-1])
    nnx.update(model, carry.params, carry.rest)
    return TrainLog(
        loss=np.asarray(losses, np.float32),
        accuracy=np.stack(accuracies),
        seconds=time.perf_counter() - started,
    )


class _Schedule(NamedTuple):
    learning_rate: ArrayLike  # [] float32; the highest
    num_steps: ArrayLike  # [] int32; of the whole training

    def __call__(self, step: ArrayLike) -> Array:
        step, total = jnp.float32(step), jnp.float32(self.num_steps)
        rising = (step + 1.0) / jnp.maximum(1.0, WARMUP * total)
        falling = 0.5 * (1.0 + jnp.cos(jnp.pi * step / total))
        return jnp.float32(self.learning_rate) * jnp.minimum(rising, falling)


class _Carry(NamedTuple):
    params: Any  # pytree of weights
    rest: Any  # pytree of what else the model holds, such as random states
    opt_state: Any  # pytree of AdamW's moments


def _optimizer(schedule: _Schedule) -> optax.GradientTransformation:
    return optax.adamw(schedule, weight_decay=WEIGHT_DECAY)


# The graph is static and the numbers are arguments, so a second training of the same
# network on data of the same shape compiles nothing.
@jax.jit(static_argnames=("graphdef", "batch_size"))
def _run_epoch(
    carry: _Carry,
    schedule: _Schedule,
    inputs: Array,
    labels: Array,
    exit_weights: Array,
    key: Array,
    *,
    graphdef: Any,
    batch_size: int,
) -> tuple[_Carry, Array, Array]:
    """Returns the carry, the mean loss [] and the accuracy [L] of one epoch."""
    optimizer = _optimizer(schedule)
    num_batches = len(inputs) // batch_size
    order = jax.random.permutation(key, len(inputs))[: num_batches * batch_size]

    def step(carry: _Carry, batch: Array) -> tuple[_Carry, tuple[Array, Array]]:
        def loss_fn(params: Any) -> tuple[Array, tuple[Any, Array]]:
            # A copy belongs to this trace, so that the model may update its own state.
            model = nnx.merge(graphdef, params, carry.rest, copy=True)
            logits = model(inputs[batch])
            rest = nnx.split(model, nnx.Param, ...)[2]
            correct = logits.argmax(axis=-1) == labels[batch][:, None]
            loss = joint_loss(logits, labels[batch], exit_weights)
            return loss, (rest, correct.mean(axis=0))

        (loss, (rest, accuracy)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            carry.params
        )
        # AdamW in optax mixes float and int32, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, carry.opt_state, carry.params)
        params = optax.apply_updates(carry.params, updates)
        return _Carry(params, rest, opt_state), (loss, accuracy)

    carry, (losses, accuracies) = jax.lax.scan(
        step, carry, order.reshape(num_batches, batch_size)
    )
    return carry, losses.mean(), accuracies.mean(axis=0)


def _exit_weights(exit_weights: Sequence[float] | None, num_exits: int) -> Array:
    if exit_weights is None:
        return jnp.full(num_exits, 1 / num_exits, jnp.float32)
    try:
        weights = np.asarray(exit_weights, np.float32)
    except (TypeError, ValueError):
        weights = np.empty(0, np.float32)  # not numbers: refused below
    good = weights.shape == (num_exits,) and np.isfinite(weights).all()
    if not good or (weights < 0).any() or weights.sum() == 0:
        raise JsplitError(
            f"exit_weights must be {num_exits} finite numbers >= 0, not all 0, "
            f"got {checks.shown(exit_weights)}"
        )
    return jnp.asarray(weights)


@contextlib.contextmanager
def _bar(num_epochs: int, *, show: bool) -> Iterator[Callable[[float, float], None]]:
    """Gives a function to call with loss and accuracy after each epoch."""
    if not show:
        yield lambda loss, accuracy: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task("compiling", total=num_epochs)

        def advance(loss: float, accuracy: float) -> None:
            text = f"loss {loss:.3f}  final exit {accuracy:.1%}"
            bar.update(task, advance=1, description=text)

        yield advance
