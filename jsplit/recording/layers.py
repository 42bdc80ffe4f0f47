"""What each layer of a network computes and ships, counted without running it.

Here: operations and bytes of one sample. Not here: bytes of the weights
(`models.sparse.storage`), the pass over a data set (`full_pass`).
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
from jax.typing import ArrayLike

from jsplit.models import shipping
from jsplit.models.multi_exit import MultiExit

QUANTISED_BITS = (8, 4, 2)


def measure_layers(
    model: MultiExit, sample: ArrayLike, bits: Iterable[int] = QUANTISED_BITS
) -> dict[str, Any]:
    """Returns what each layer computes and what is shipped behind it, per sample.

    Nothing is run: XLA counts the operations of the lowered layer, given the real shape
    and dtype of the activation it gets. Of a loop (`lax.scan`) in a layer XLA counts
    the body once.

    Args:
        model: network with L exits.
        sample: [1, ...] one sample; only shape and dtype matter.
        bits: quantisations to count, 1..16 bits each.

    Returns:
        split_bytes: [L] bytes of the activation after each block, as
            `models.shipped_bytes` counts them.
        split_bytes_quantised: those [L] after quantisation, by the number of bits as a
            text, which JSON asks for: {"8": [L], "4": [L], "2": [L]}.
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
    h: Any = jax.eval_shape(lambda x: x, sample)
    activations, layer_flops, head_flops = [], [], []
    for block, head in zip(model.blocks, model.heads, strict=True):
        layer_flops.append(_flops(block, h))
        h = jax.eval_shape(_call, block, h)
        head_flops.append(_flops(head, h))
        activations.append(h)
    measured: dict[str, Any] = {
        "split_bytes": [shipping.shipped_bytes(h) for h in activations],
        "split_bytes_quantised": {
            str(number): [shipping.shipped_bytes(h, number) for h in activations]
            for number in sorted(set(bits), reverse=True)
        },
    }
    if None not in layer_flops + head_flops:
        measured.update(layer_flops=layer_flops, head_flops=head_flops)
    return measured


def _flops(module: Callable[[Any], Any], h: Any) -> float | None:
    analysis = _call.lower(module, h).cost_analysis()
    return analysis.get("flops") if isinstance(analysis, dict) else None


@jax.jit
def _call(module: Callable[[Any], Any], x: Any) -> Any:
    return module(x)
