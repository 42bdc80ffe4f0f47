"""From a network and a data set to a trace.

Here: the all-exits pass and what it costs per layer. Not here: networks (`models`),
training (`training`), or traces as such (`trace`).
Called by `cli`, experiments and users.
"""

from collections.abc import Callable
from typing import Any

import flax
import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.data import Dataset, check_examples
from jsplit.models.multi_exit import MultiExit, logits_shape
from jsplit.trace import Trace
from jsplit.types import JsplitError


def record(
    model: Callable[[Any], Array],
    data: Dataset | tuple[ArrayLike, ArrayLike],
    *,
    batch_size: int = 1024,
    progress: bool = False,
    **meta: Any,
) -> Trace:
    """Runs a network once over a data set and keeps what every exit said.

    All exits come out of one compiled pass. The last batch is filled up, so that
    one shape is compiled; a model in evaluation mode treats samples one by one, and
    the filling is dropped.

    Args:
        model: Gives logits [B, L, C] for a batch of inputs. An NNX module is put in
            evaluation mode (dropout off, stored statistics) and not changed. A
            plain function must be one that JAX can compile.
        data: A `Dataset`, or a pair of inputs [N, ...] and labels [N].
        batch_size: Samples per call of the model, >= 1.
        progress: Whether to show a progress bar.
        **meta: JSON-able facts to keep with the trace; they win over what is
            written here: `model`, `dataset`, `split`, `versions` and `device`, and
            for a `MultiExit` those of `measure_layers`.

    Returns:
        Trace with N samples and L exits.

    Raises:
        JsplitError: An argument is out of shape or range.

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
    batch_size = checks.integer("batch_size", batch_size, 1)
    facts: dict[str, Any] = {}
    if isinstance(data, Dataset):
        inputs, labels = data.inputs, data.labels
        facts.update(dataset=data.name, split=data.split)
    elif isinstance(data, tuple) and len(data) == 2:
        inputs, labels = data
    else:
        raise JsplitError(
            "data must be a Dataset or a pair (inputs, labels), "
            f"got {type(data).__name__}"
        )
    inputs, labels = check_examples(inputs, labels)
    if isinstance(model, nnx.Module):
        model = nnx.view(
            model,
            deterministic=True,
            use_running_average=True,
            raise_if_not_found=False,
        )
    _, num_classes = logits_shape(model, inputs[:1])
    check_examples(inputs[:1], labels[:1], num_classes)
    facts.update(
        model=getattr(model, "__name__", type(model).__name__),
        versions=_versions(),
        device=jax.devices()[0].device_kind,
    )
    if isinstance(model, MultiExit):
        facts.update(measure_layers(model, inputs[:1]))
    logits = _all_logits(model, inputs, min(batch_size, len(inputs)), progress)
    return Trace.from_logits(logits, labels, **{**facts, **meta})


def measure_layers(model: MultiExit, image: ArrayLike) -> dict[str, list[float]]:
    """Returns what each layer computes and what is shipped behind it, per sample.

    Nothing is run: XLA counts the operations of the lowered layer, and the bytes
    are those of the activation's real shape and dtype, neither compressed nor
    quantised.

    Args:
        model: Network with L exits.
        image: [1, ...] one sample; only shape and dtype matter.

    Returns:
        split_bytes: [L] bytes of the activation after each block.
        layer_flops: [L] floating-point operations of each block, its head excluded;
            missing where XLA does not count them.
        head_flops: [L] those of each head; missing likewise.

    Example:
        >>> import numpy as np
        >>> from flax import nnx
        >>> from jsplit.models import CNN
        >>> from jsplit.recording import measure_layers
        >>> model = CNN(10, rngs=nnx.Rngs(0))
        >>> measure_layers(model, np.zeros((1, 8, 8, 1), np.float32))["split_bytes"]
        [4096, 4096, 4096, 2048, 2048, 2048]
    """
    h: Any = jax.eval_shape(lambda x: x, image)
    split_bytes, layer_flops, head_flops = [], [], []
    for block, head in zip(model.blocks, model.heads, strict=True):
        layer_flops.append(_flops(block, h))
        h = jax.eval_shape(_call, block, h)
        head_flops.append(_flops(head, h))
        split_bytes.append(
            sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(h))
        )
    measured = {"split_bytes": split_bytes}
    if None not in layer_flops + head_flops:
        measured.update(layer_flops=layer_flops, head_flops=head_flops)
    return measured


def _flops(module: Callable[[Any], Any], h: Any) -> float | None:
    analysis = _call.lower(module, h).cost_analysis()
    return analysis.get("flops") if isinstance(analysis, dict) else None


@jax.jit
def _call(module: Callable[[Any], Any], x: Any) -> Any:
    # A module is a pytree: as an argument, new weights do not compile again.
    return module(x)


def _all_logits(
    model: Callable[[Any], Array], inputs: np.ndarray, batch_size: int, progress: bool
) -> np.ndarray:
    """Returns [N, L, C] logits, computed in batches of one shape."""
    if isinstance(model, nnx.Module):
        call = lambda batch: _call(model, batch)  # noqa: E731
    else:
        call = jax.jit(model)
    starts: Any = range(0, len(inputs), batch_size)
    if progress:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        starts = track(starts, "recording", transient=True, console=console)
    logits = []
    for start in starts:
        batch = inputs[start : start + batch_size]
        missing = batch_size - len(batch)
        padding = [(0, missing)] + [(0, 0)] * (inputs.ndim - 1)
        logits.append(np.asarray(call(np.pad(batch, padding)))[: len(batch)])
    return np.concatenate(logits)


def _versions() -> dict[str, str]:
    from jsplit import __version__  # not at the top: jsplit imports this module lazily

    return {"jax": jax.__version__, "flax": flax.__version__, "jsplit": __version__}
