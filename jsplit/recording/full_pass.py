"""The all-exits pass: from a network and a data set to a trace.

Here: batches, devices and what comes back from them. Not here: what layers cost
(`layers`), what is shipped at a split (`models.shipping`), traces as such (`traces`).
"""

import collections
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.data import Dataset, check_examples
from jsplit.models import shipping
from jsplit.models.compilation import compiler_options
from jsplit.models.multi_exit import MultiExit, logits_shape
from jsplit.progress import watched
from jsplit.recording.layers import QUANTISED_BITS, measure_layers
from jsplit.seeds import key_of
from jsplit.traces import softmax
from jsplit.traces.calibration import binned_error
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError
from jsplit.version import versions

# While a batch runs, the next one is put on the devices; a third would only take room.
IN_FLIGHT = 2
# Where nobody says how large a batch is. What XLA needs inside a layer is 10 (BERT) to
# 33 (MobileNetV2) times the activation between two: 4 GiB at most on a device.
MAX_BATCH, SHIPPED_AT_ONCE = 1024, 128 * 2**20

Transform = Callable[[Array, Array], Array]


def record(
    model: Callable[[Any], Array],
    data: Dataset | tuple[ArrayLike, ArrayLike],
    *,
    batch_size: int | None = None,
    transform: Transform | None = None,
    quantise: int | None = None,
    keep_logits: bool = False,
    seed: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = False,
    **meta: Any,
) -> Trace:
    """Runs a network once over a data set and keeps what every exit said.

    One compiled pass gives all exits. Batches are spread over all devices. Confidence,
    entropy and prediction are computed there, as `Trace.from_logits` defines them. The
    last batch is filled up, so that one shape is compiled. What the filling gives is
    dropped; a model in evaluation mode treats samples one by one.

    Args:
        model: network giving logits [B, L, C] for a batch of inputs. An NNX module is
            run in evaluation mode (dropout off, stored statistics) and not changed. A
            plain function must be one that JAX can compile.
        data: a `Dataset`, or a pair of inputs [N, ...] and labels [N]. Inputs that are
            a memory map are read batch by batch.
        batch_size: samples per call of the model, >= 1; rounded up to a multiple of
            the number of devices. Default: the largest power of two, at most 1024, for
            which the activations at the widest split take at most 128 MiB, on every
            device if these are accelerators.
        transform: function of one sample [...] and a typed key, returning one array,
            such as a distortion. The model sees what it returns. It is compiled. The
            key depends on `seed` and the sample's position alone.
        quantise: bits, 1..16, of the activation shipped at each split
            (`models.quantise`). The trace then carries the cloud's answer to that
            activation at each split 1..L - 1, and exit L's own answer at L. The model
            must be a `MultiExit`. A batch takes up to L times the memory. Default:
            shipping is lossless.
        keep_logits: whether the trace keeps the logits; `calibrate` needs them.
        seed: seed of the keys of `transform`, 0..2^32 - 1. Default: 0.
        devices: JAX devices that share the batches. Default: all.
        progress: whether to show a progress bar.
        **meta: JSON-able facts to keep with the trace. They replace facts of the same
            name that are written here: `model`, `dataset`, `split`, `versions`,
            `device`, `expected_calibration_error` ([L], see there), `seed` and
            `quantise_bits` where given, and those of `measure_layers` for a
            `MultiExit`.

    Returns:
        the trace, of N samples and L exits.

    Raises:
        JsplitError: if an argument is out of shape or range, or if a logit is not
            finite.

    Example:
        >>> import numpy as np
        >>> from flax import nnx
        >>> from jsplit.models import CNN
        >>> from jsplit.recording import record
        >>> model = CNN(10, widths=(4, 8), rngs=nnx.Rngs(0))
        >>> trace = record(model, (np.zeros((5, 8, 8, 1)), np.zeros(5, int)))
        >>> trace.confidence.shape, trace.meta["split_bytes"]
        ((5, 2), [1024, 512])
    """
    if batch_size is not None:
        checks.integer("batch_size", batch_size, 1)
    _check_quantise(quantise, model)
    devices = tuple(jax.devices() if devices is None else devices)
    if not devices:
        raise JsplitError("devices must hold at least one device, got none")
    inputs, labels, facts = _examples(data)
    if seed is not None or transform is not None:
        facts.update(seed=checks.seed(seed or 0))
    model = _in_evaluation(model)
    sample = _one_sample(inputs, transform)
    num_classes = logits_shape(model, sample)[1]
    if labels.max() >= num_classes:
        raise JsplitError(
            f"labels must be from 0 to {num_classes - 1}, got {labels.max()}"
        )
    facts.update(
        model=_name(model), versions=versions("flax"), device=devices[0].device_kind
    )
    if isinstance(model, MultiExit):
        bits = QUANTISED_BITS if quantise is None else (*QUANTISED_BITS, quantise)
        facts.update(measure_layers(model, sample, bits))
    if quantise is not None:
        facts.update(quantise_bits=quantise)
    if batch_size is None:
        copies = 1 if quantise is None else max(1, len(facts["split_bytes"]) - 1)
        widest = max(facts.get("split_bytes", [0]))
        batch_size = default_batch_size(copies * widest, devices)
    answers = _run(
        model if isinstance(model, nnx.Module) else jax.tree_util.Partial(model),
        inputs,
        key_of(facts.get("seed", 0)),
        min(batch_size, len(inputs)),
        devices,
        progress,
        transform=transform,
        bits=quantise,
        keep_logits=keep_logits,
    )
    correct = answers["prediction"] == labels[:, None]
    error = binned_error(answers["confidence"], correct).tolist()
    facts.update(expected_calibration_error=error)
    return Trace.from_arrays(
        **answers, label=labels, **{**facts, **meta, "num_classes": num_classes}
    )


def _check_quantise(bits: int | None, model: Any) -> None:
    if bits is None:
        return
    checks.integer("quantise", bits, 1, shipping.MAX_BITS)
    if not isinstance(model, MultiExit):
        raise JsplitError(
            f"quantise needs a model with two halves, a MultiExit, got {_name(model)}"
        )


def _examples(
    data: Dataset | tuple[ArrayLike, ArrayLike],
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Returns inputs, labels and what is known of them."""
    if isinstance(data, Dataset):
        known = {"dataset": data.name, "split": data.split}
        return *check_examples(data.inputs, data.labels), known
    if isinstance(data, tuple) and len(data) == 2:
        return *check_examples(*data), {}
    raise JsplitError(
        f"data must be a Dataset or a pair (inputs, labels), got {type(data).__name__}"
    )


def _in_evaluation(model: Callable[[Any], Array]) -> Callable[[Any], Array]:
    """Returns a view of a module without dropout and with stored statistics."""
    if not isinstance(model, nnx.Module):
        return model
    return nnx.view(
        model, deterministic=True, use_running_average=True, raise_if_not_found=False
    )


def default_batch_size(sample_bytes: int, devices: Sequence[Any]) -> int:
    """Returns how many samples fit, see `record`.

    Args:
        sample_bytes: bytes of the activations of one sample that exist at once.
        devices: devices that share a batch; the cores of a CPU also share its memory.

    Example:
        >>> import jax
        >>> from jsplit.recording.full_pass import default_batch_size
        >>> default_batch_size(128 * 768 * 4, jax.devices("cpu"))
        256
    """
    count = 1 if devices[0].platform == "cpu" else len(devices)
    fitting = max(1, count * SHIPPED_AT_ONCE // max(1, sample_bytes))
    return min(MAX_BATCH, 2 ** (fitting.bit_length() - 1))


class _Answers(NamedTuple):
    """What the pass brings back, named as in `Trace.from_arrays`; B samples."""

    confidence: Any  # [B, L] float32; NaN where a logit is not finite
    prediction: Any  # [B, L] int32
    entropy: Any  # [B, L] float32
    remote_confidence: Any  # [B, L - 1] float32, or None for a lossless link
    remote_prediction: Any  # [B, L - 1] int32, or None
    logits: Any  # [B, L, C] float32, or None if not kept
    remote_logits: Any  # [B, L - 1, C] float32, or None


def _run(
    model: Callable[[Any], Array],
    inputs: np.ndarray,
    key: Array,
    batch_size: int,
    devices: Sequence[Any],
    progress: bool,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Returns the answers for all samples, the cloud's behind exit L filled in."""
    mesh = Mesh(np.array(devices), ("sample",), axis_types=(AxisType.Auto,))
    everywhere = NamedSharding(mesh, PartitionSpec())
    spread = NamedSharding(mesh, PartitionSpec("sample"))
    batch_size = -(-batch_size // len(devices)) * len(devices)
    model, key = jax.device_put((model, key), everywhere)
    starts = range(0, len(inputs), batch_size)
    running: collections.deque[_Answers] = collections.deque()
    parts = []
    for start in watched(starts, "recording", show=progress):
        batch = inputs[start : start + batch_size]
        if missing := batch_size - len(batch):
            batch = np.pad(batch, [(0, missing)] + [(0, 0)] * (inputs.ndim - 1))
        positions = np.arange(start, start + batch_size, dtype=np.int32)
        on_devices = jax.device_put((np.asarray(batch), positions), spread)
        running.append(_compiled_pass()(model, *on_devices, key, mesh=mesh, **options))
        if len(running) == IN_FLIGHT:
            parts.append(jax.device_get(running.popleft()))
    parts += jax.device_get(list(running))
    answers = {
        name: np.concatenate(values)[: len(inputs)]
        for name, values in zip(_Answers._fields, zip(*parts, strict=True), strict=True)
        if values[0] is not None
    }
    for name, values in answers.items():
        if name.startswith("remote_"):
            own = answers[name.removeprefix("remote_")]
            answers[name] = np.concatenate([values, own[:, -1:]], axis=1)
    for name in ("confidence", "remote_confidence"):
        bad = np.isnan(answers.get(name, 0.0))
        if bad.any():
            where, exit_ = np.unravel_index(int(bad.argmax()), bad.shape)
            raise JsplitError(
                "model must give finite logits, got NaN or infinite ones for sample "
                f"{where} at exit {exit_ + 1} ({bad.sum()} of {bad.size} answers)"
            )
    return answers


@functools.cache
def _compiled_pass() -> Callable[..., _Answers]:
    # Not a decorator: the options ask for the backend, which an import must not start.
    # A model is a pytree: as an argument, new weights do not compile again.
    return jax.jit(
        _pass,
        static_argnames=("mesh", "transform", "bits", "keep_logits"),
        compiler_options=compiler_options(),
    )


def _pass(
    model: Callable[[Any], Array],
    inputs: Array,
    positions: Array,
    key: Array,
    *,
    mesh: Mesh,
    transform: Transform | None,
    bits: int | None,
    keep_logits: bool,
) -> _Answers:
    """Runs one batch, every device its share; they never talk to each other."""

    def on_device(model: Any, inputs: Array, positions: Array, key: Array) -> _Answers:
        if transform is not None:
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, positions)
            inputs = jax.vmap(transform)(inputs, keys)
        logits = _single(model(inputs))
        remote_logits = remote_confidence = remote_prediction = None
        if bits is not None:
            remote_logits = shipping.answers_after_shipping(model, inputs, bits)
            remote_logits = _single(remote_logits)
            remote_confidence, _, remote_prediction = _summary(remote_logits)
        confidence, entropy, prediction = _summary(logits)
        return _Answers(
            confidence,
            prediction,
            entropy,
            remote_confidence,
            remote_prediction,
            logits if keep_logits else None,
            remote_logits if keep_logits else None,
        )

    same, split = PartitionSpec(), PartitionSpec("sample")
    return jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(same, split, split, same),
        out_specs=split,
        check_vma=False,
    )(model, inputs, positions, key)


def _single(logits: Array) -> Array:
    """Returns logits in single precision; double stays."""
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def _summary(logits: Array) -> tuple[Array, Array, Array]:
    confidence, entropy, prediction = softmax.summary(logits, jnp)
    finite = jnp.isfinite(logits).all(axis=-1)
    return jnp.where(finite, confidence, jnp.nan), entropy, prediction


def _one_sample(inputs: np.ndarray, transform: Transform | None) -> np.ndarray:
    """Returns [1, ...] in the shape and dtype that the model will see."""
    sample = inputs[:1]
    if transform is None:
        return sample
    keys = jax.random.split(key_of(0), 1)
    shape = jax.eval_shape(jax.vmap(transform), sample, keys)
    if not isinstance(shape, jax.ShapeDtypeStruct):
        raise JsplitError(
            f"transform must return one array, got {type(shape).__name__}"
        )
    return np.zeros(shape.shape, shape.dtype)


def _name(model: Any) -> str:
    return getattr(model, "__name__", type(model).__name__)
