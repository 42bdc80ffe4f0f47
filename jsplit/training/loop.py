"""The loop of a training: batches in, weights out, and everything in between.

Here: order of the samples, measuring, early stopping, when to save. Not here: what one
step computes (`training.step`), how state is written (`training.checkpoint`).
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.data import check_examples
from jsplit.folders.lock import locked
from jsplit.models.multi_exit import logits_shape
from jsplit.progress import counted
from jsplit.seeds import key_of
from jsplit.training import optimizer
from jsplit.training.checkpoint import Checkpoints, checksum, flatten
from jsplit.training.history import History, TrainLog
from jsplit.training.interruption import Interrupted, stop_flag
from jsplit.training.progress import Pace, epoch_line, epoch_note
from jsplit.training.settings import Settings, make_settings
from jsplit.training.step import How, Placement, State, Totals, measure_batch, take_step
from jsplit.types import JsplitError

SAVING = 0.05  # at most about this share of the time goes into checkpoints
# Independent random streams of a seed.
HELD_OUT, ORDER = 0, 1


def train(
    model: nnx.Module,
    inputs: ArrayLike,
    labels: ArrayLike,
    settings: Settings | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    facts: Mapping[str, Any] | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = True,
    **changes: Any,
) -> TrainLog:
    """Trains all exits of a model together and in place.

    Minimises `joint_loss` over shuffled batches. All batches have one shape: the last
    N mod `batch_size` samples of each shuffle are left out. The order of an epoch
    depends on seed and epoch alone. The same model, data and settings give the same
    weights, bit for bit, on the same machine. That also holds for a training that was
    killed and went on from a checkpoint.

    Args:
        model: network giving logits [B, L, C] for a batch of inputs, such as
            `jsplit.models.CNN`. Its weights are changed.
        inputs: [N, ...] finite. Images are [N, H, W, channels]. A memory map is read
            batch by batch.
        labels: [N] classes, 0..C - 1.
        settings: how to train. Default: `Settings()`.
        checkpoint: folder for the state of the unfinished training. If it holds one of
            the same model, data and settings, the training goes on from there. SIGINT
            and SIGTERM then end it after a checkpoint. None: nothing is written.
        checkpoint_seconds: time between checkpoints, >= 0. Longer where writing one
            takes more than a twentieth of it. 0: a checkpoint at every look at the
            loss, about twice a second.
        facts: JSON-able, what else fixes the training. A checkpoint of other facts is
            refused, and the message names the fact.
        devices: where to train. Their number must divide the batch size. Default: as
            many accelerators as divide it, or one device of a CPU, which uses all
            cores.
        progress: whether to show progress on standard error: a bar on a terminal,
            otherwise a line per epoch.
        **changes: fields of `Settings` by name, such as `num_epochs=10`.

    Returns:
        loss and accuracy of each epoch.

    Raises:
        JsplitError: if an argument is out of shape or range, if the checkpoint is of
            another training, or if the loss became NaN or infinite.
        Interrupted: if a signal came; the state is saved.

    Example:
        >>> from flax import nnx
        >>> from jsplit.data import load
        >>> from jsplit.models import CNN
        >>> from jsplit.training import train
        >>> data = load("digits", "train")
        >>> model = CNN(10, widths=(4, 4), rngs=nnx.Rngs(0))
        >>> log = train(model, data.inputs, data.labels, num_epochs=2, progress=False)
        >>> log.accuracy.shape
        (2, 2)
    """
    if settings is None:
        settings = make_settings(**changes)
    elif changes:
        settings = make_settings(**{**vars(settings), **changes})
    training = Training(model, inputs, labels, settings, devices)
    return training.run(
        checkpoint,
        checkpoint_seconds=checkpoint_seconds,
        facts=facts,
        progress=progress,
    )


class Training:
    """One training: what it works on, where it stands, and its loop.

    Arguments are those of `train`; making one checks them and computes nothing.
    """

    def __init__(
        self,
        model: nnx.Module,
        inputs: ArrayLike,
        labels: ArrayLike,
        settings: Settings,
        devices: Sequence[Any] | None,
    ) -> None:
        """Takes what to train and how.

        Raises:
            JsplitError: if an argument is out of shape or range.
        """
        self.started = time.perf_counter()
        if not isinstance(model, nnx.Module):
            raise JsplitError(
                f"model must be an nnx.Module, got {type(model).__name__}"
            )
        self.inputs, self.labels = check_examples(inputs, labels)
        # Dropout on and batch statistics in use, where a model has them.
        learner, judged = (
            nnx.view(
                model,
                deterministic=not learns,
                use_running_average=not learns,
                raise_if_not_found=False,
            )
            for learns in (True, False)
        )
        if settings.bf16:
            _compute_in_bf16(learner)
        self.graphdef, params, rest = nnx.split(learner, nnx.Param, ...)
        self.judging = nnx.split(judged, nnx.Param, ...)[0]
        self.num_exits, num_classes = logits_shape(learner, self.inputs[:1])
        check_examples(self.labels[:, None], self.labels, num_classes)
        if settings.augment != "none" and self.inputs.ndim != 4:
            raise JsplitError(
                f"augment must be 'none' for inputs of shape {self.inputs.shape[1:]}, "
                f"which are no images [H, W, channels], got {settings.augment!r}"
            )
        self.model, self.settings, self.how = model, settings, How.of(settings)
        self.exit_weights = settings.checked_exit_weights(self.num_exits)
        # A pattern of sparse weights, say, is a NumPy array until here.
        params, rest = jax.tree.map(jnp.asarray, (params, rest))
        self.homes = jax.tree.map(lambda x: x.sharding, (params, rest))
        self.initial = checksum(flatten((params, rest)))

        self.rows, self.held_out = _hold_out(settings, len(self.inputs))
        self.batch_size = min(settings.batch_size, len(self.rows))
        self.steps_per_epoch = len(self.rows) // self.batch_size
        self.num_steps = settings.num_epochs * self.steps_per_epoch
        self.placement = Placement(self.batch_size, devices)
        self.history = History()
        opt_state = optimizer.init(self.how.rule, params)
        self.state = State(params, rest, opt_state, Totals.zero(self.num_exits))
        self.best = (params, rest) if settings.patience else ()

    def facts(self) -> dict[str, Any]:
        """Returns all that fixes the weights, JSON-able."""
        settings = self.settings.facts()
        del settings["max_minutes"]  # when to stop is up to the run
        return {
            **settings,
            "model": type(self.model).__name__,
            "initial weights (CRC-32)": self.initial,
            "inputs": f"{self.inputs.dtype} {list(self.inputs.shape)}",
            "data (CRC-32)": checksum({"x": self.inputs, "y": self.labels}),
        }

    def run(
        self,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        checkpoint_seconds: float = 30.0,
        facts: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> TrainLog:
        """Trains until done, from the newest checkpoint if there is one.

        Raises:
            JsplitError: if the checkpoint is of another training, or if the loss
                became NaN or infinite.
            Interrupted: if a signal came; the state is saved.
        """
        seconds = checks.number("checkpoint_seconds", checkpoint_seconds, 0.0)
        store = None
        if checkpoint is not None:
            store = Checkpoints(checkpoint, {**self.facts(), **(facts or {})})
        try:
            with stop_flag(store is not None) as stop, _alone(checkpoint):
                self._loop(store, seconds, progress, stop)
        finally:
            if store is not None:
                store.close()
        self._write_weights()
        return self.history.log(self.num_exits)

    def _loop(
        self,
        store: Checkpoints | None,
        checkpoint_seconds: float,
        progress: bool,
        stop: Callable[[], int],
    ) -> None:
        self._go_on_from(store)
        history, saving = self.history, _Saving(store, checkpoint_seconds)
        numbers = (self.exit_weights, np.float32(self.settings.label_smoothing))
        numbers = self.placement.copied((*numbers, key_of(self.settings.seed)))
        earlier, order, pace = history.seconds, None, Pace()
        num_epochs, shown = self.settings.num_epochs, history.step
        with counted(
            "training", self.num_steps, show=progress, done=history.step
        ) as count:
            while history.step < self.num_steps and history.stopped is None:
                epoch, batch = divmod(history.step, self.steps_per_epoch)
                if order is None or batch == 0:
                    random = _random(self.settings, ORDER, epoch)
                    order = self.rows[random.permutation(len(self.rows))]
                self._step(order[batch * self.batch_size :][: self.batch_size], numbers)
                ends = batch + 1 == self.steps_per_epoch
                if not pace.is_due() and not ends:
                    continue
                loss, accuracy = self._look(epoch, batch + 1)
                history.seconds = earlier + time.perf_counter() - self.started
                note = epoch_note(history, num_epochs, loss, accuracy)
                count.advance(history.step - shown, note)
                shown = history.step
                if ends:
                    self._end_epoch(loss, accuracy)
                    count.line(epoch_line(history, num_epochs))
                self._decide_whether_done()
                if store is not None:
                    number = stop()
                    if number or history.stopped or saving.is_due():
                        saving.save(history, (self.state, self.best))
                    if number and not history.stopped:
                        raise Interrupted(
                            f"stopped after {history.step} of {self.num_steps} steps; "
                            "the same call goes on from there",
                            number,
                        )
                pace.looked()

    def _go_on_from(self, store: Checkpoints | None) -> None:
        """Takes the state of the newest checkpoint, if any, and puts it in place."""
        found = None if store is None else store.restore((self.state, self.best))
        if found is not None:
            (self.state, self.best), facts = found
            self.history = History(**facts)
        self.state = self.placement.copied(self.state)

    def _step(self, rows: np.ndarray, numbers: tuple[Any, ...]) -> None:
        """Takes one step on a batch of samples."""
        exit_weights, label_smoothing, key = numbers
        step = self.history.step
        self.state = take_step(
            self.state,
            *self.placement.split((self.inputs[rows], self.labels[rows])),
            exit_weights,
            label_smoothing,
            optimizer.rates_at(self.settings, step, self.num_steps),
            key,
            np.int32(step),
            graphdef=self.graphdef,
            how=self.how,
        )
        self.history.step += 1
        if self.placement.one_at_a_time:
            jax.block_until_ready(self.state.totals)

    def _write_weights(self) -> None:
        """Puts the weights, the best ones if patience was asked for, into the model."""
        params, rest = self.best or (self.state.params, self.state.rest)
        # Where the weights were before, not on the devices of the training.
        nnx.update(self.model, *jax.device_put((params, rest), self.homes))

    def _look(self, epoch: int, num_batches: int) -> tuple[float, list[float]]:
        """Returns loss and accuracies of the epoch so far; waits for the devices."""
        totals = jax.device_get(self.state.totals)
        loss = float(totals.loss) / num_batches
        if not math.isfinite(loss):
            rate = self.settings.learning_rate
            raise JsplitError(
                f"learning_rate must be lower than {rate:g} here: the loss became "
                f"{loss} in epoch {epoch + 1}"
            )
        return loss, (totals.correct / (num_batches * self.batch_size)).tolist()

    def _end_epoch(self, loss: float, accuracy: list[float]) -> None:
        history = self.history
        history.loss.append(loss)
        history.accuracy.append(accuracy)
        zero = self.placement.copied(Totals.zero(self.num_exits))
        self.state = self.state._replace(totals=zero)
        if len(self.held_out) == 0:
            return
        losses, accuracies = self._measure()
        history.validation_loss.append(float(self.exit_weights @ losses))
        history.validation_accuracy.append(accuracies.tolist())
        if history.validation_loss[-1] <= min(history.validation_loss):
            history.best_epoch = len(history.loss)
            if self.settings.patience:
                self.best = self.placement.copied(self.state[:2])

    def _measure(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean loss and accuracy [L] of every exit on what was held out."""
        loss = np.zeros(self.num_exits)
        correct = np.zeros(self.num_exits)
        for start in range(0, len(self.held_out), self.batch_size):
            rows = self.held_out[start : start + self.batch_size]
            filled = np.resize(rows, self.batch_size)
            labels = np.where(
                np.arange(self.batch_size) < len(rows), self.labels[filled], -1
            ).astype(np.int32)
            part = measure_batch(
                self.state.params,
                self.state.rest,
                *self.placement.split((self.inputs[filled], labels)),
                graphdef=self.judging,
            )
            loss += np.asarray(part[0], np.float64)
            correct += np.asarray(part[1], np.float64)
        return loss / len(self.held_out), correct / len(self.held_out)

    def _decide_whether_done(self) -> None:
        history, settings = self.history, self.settings
        if history.step == self.num_steps:
            history.stopped = "num_epochs"
        elif (
            settings.patience is not None
            and len(history.loss) - history.best_epoch >= settings.patience
            and history.step % self.steps_per_epoch == 0
        ):
            history.stopped = "patience"
        elif (
            settings.max_minutes is not None
            and history.seconds >= 60 * settings.max_minutes
        ):
            history.stopped = "max_minutes"


class _Saving:
    """When to write checkpoints: every few seconds, less often if it takes long."""

    def __init__(self, store: Checkpoints | None, seconds: float) -> None:
        self._store, self._seconds = store, seconds
        self._saved, self._took = time.perf_counter(), 0.0

    def is_due(self) -> bool:
        every = max(self._seconds, self._took / SAVING) if self._seconds else 0.0
        return time.perf_counter() - self._saved >= every

    def save(self, history: History, tree: Any) -> None:
        started = time.perf_counter()
        if self._store is not None:
            self._store.save(history.step, tree, vars(history))
        self._saved = time.perf_counter()
        self._took = self._saved - started


def _compute_in_bf16(model: nnx.Module) -> None:
    """Makes the layers of a model, a view of the real one, compute in bfloat16."""
    for _, module in nnx.iter_graph(model):
        if isinstance(module, nnx.Module) and hasattr(module, "dtype"):
            module.dtype = jnp.bfloat16  # type: ignore[attr-defined]


def _hold_out(settings: Settings, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows to learn from and the rows to measure on."""
    count = round(settings.validation * num_samples)
    if settings.validation > 0 and not 0 < count < num_samples:
        raise JsplitError(
            f"validation must leave samples on both sides, got {settings.validation:g} "
            f"of {num_samples}"
        )
    rows = _random(settings, HELD_OUT).permutation(num_samples)
    return np.sort(rows[count:]), np.sort(rows[:count])


def _random(settings: Settings, *which: int) -> np.random.Generator:
    seed = np.random.SeedSequence(settings.seed, spawn_key=which)
    return np.random.default_rng(seed)


def _alone(
    checkpoint: str | os.PathLike[str] | None,
) -> contextlib.AbstractContextManager[None]:
    """Keeps other trainings away from the folder of this one."""
    if checkpoint is None:
        return contextlib.nullcontext()
    return locked(checks.path("checkpoint", checkpoint), "checkpoint")
