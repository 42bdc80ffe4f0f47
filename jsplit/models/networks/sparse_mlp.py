"""A multilayer perceptron, dense or with predefined sparsity, with exits.

Here: the network. Not here: patterns (`sparse.patterns`) and layers (`sparse.layers`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import nnx

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.mlp import HiddenLayer
from jsplit.models.sparse.layers import BIAS, SparseLinear
from jsplit.models.sparse.patterns import Pattern
from jsplit.types import JsplitError


class SparseMLP(MultiExit):
    """Perceptron with an exit after every hidden layer.

    Weights start from a normal distribution of standard deviation sqrt(2 / fan-in),
    the fan-in being that of the pattern, and biases at 0.1. Layers whose pattern is
    complete are plain dense ones and store no indices.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import SparseMLP
        >>> model = SparseMLP(10, out_degrees=(2, 9, 10), rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((5, 28, 28, 1), jnp.uint8)).shape
        (5, 2, 10)
        >>> model.head(jnp.zeros((5, 28, 28, 1)), 1).shape
        (5, 40)

    References: arXiv 2407.11763, whose two released networks are the one above (2,360
    weights on the way to the last exit) and `widths=(3, 3)` dense (2,439).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        num_features: int = 800,
        widths: Sequence[int] = (40, 40),
        out_degrees: Sequence[int] | None = None,
        densities: Sequence[float] | None = None,
        kind: str = "structured",
        num_memories: Sequence[int] | None = None,
        pattern_seed: int = 0,
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            num_features: inputs of the first layer; smaller images are padded with
                zeros (MNIST's 784 pixels to 800, which has more divisors).
            widths: neurons of each of the L >= 2 hidden layers.
            out_degrees: L + 1 out-degrees: one for each hidden layer, and the last
                for every exit. Default: dense.
            densities: L + 1 densities, instead of `out_degrees`.
            kind: class of the patterns, one of `sparse.patterns.KINDS`.
            num_memories: z of each hidden layer's clash-free pattern. In type 3 with
                z = 1 every neuron reads neighbours: of an image, a band of rows.
                Default: see `sparse.patterns.num_memories_for`.
            pattern_seed: which patterns, >= 0; each layer gets its own.
            rngs: source of the initial weights.

        Raises:
            JsplitError: if an argument is out of range, or if a density is not
                admissible.
        """
        num_classes = checks.integer("num_classes", num_classes, 2)
        num_features = checks.integer("num_features", num_features, 1)
        widths = checks.integers("widths", widths, 1, at_least=2)
        sizes = list(zip([num_features, *widths[:-1]], widths, strict=True))
        sizes += [(width, num_classes) for width in widths]
        patterns = _patterns(
            len(widths), out_degrees, densities, kind, num_memories, pattern_seed
        )
        layers = [
            _layer(*size, pattern, rngs)
            for size, pattern in zip(sizes, patterns, strict=True)
        ]
        hidden = layers[: len(widths)]
        super().__init__(
            blocks=[
                HiddenLayer(hidden[0], num_features),
                *(HiddenLayer(layer) for layer in hidden[1:]),
            ],
            heads=layers[len(widths) :],
            num_classes=num_classes,
            num_features=num_features,
            widths=widths,
            out_degrees=None if out_degrees is None else list(out_degrees),
            densities=None if densities is None else list(densities),
            kind=kind,
            num_memories=None if num_memories is None else list(num_memories),
            pattern_seed=pattern_seed,
        )


def _patterns(
    num_layers: int,
    out_degrees: Sequence[int] | None,
    densities: Sequence[float] | None,
    kind: str,
    num_memories: Sequence[int] | None,
    pattern_seed: int,
) -> list[Pattern]:
    """Returns the patterns of L hidden layers, then of L exits."""
    pattern_seed = checks.integer("pattern_seed", pattern_seed, 0)
    # One number per layer, none shared with another pattern seed.
    seeds = np.random.SeedSequence(pattern_seed).generate_state(2 * num_layers)
    memories = _memories(num_memories, num_layers) + [None] * num_layers
    return [
        Pattern(kind, **degree, num_memories=z, seed=int(seed))
        for degree, z, seed in zip(
            _degrees(num_layers, out_degrees, densities), memories, seeds, strict=True
        )
    ]


def _degrees(
    num_layers: int,
    out_degrees: Sequence[int] | None,
    densities: Sequence[float] | None,
) -> list[dict[str, Any]]:
    """Returns what `Pattern` takes, by name, for L hidden layers, then for L exits."""
    if out_degrees is not None and densities is not None:
        raise JsplitError("give one of out_degrees and densities, got both")
    name, field, given = "out_degrees", "out_degree", out_degrees
    if densities is not None:
        name, field, given = "densities", "density", densities
    if given is None:
        return [{}] * (2 * num_layers)
    values = checks.entries(name, given)
    if len(values) != num_layers + 1:
        raise JsplitError(
            f"{name} must have {num_layers + 1} entries, one per hidden layer and one "
            f"for the exits, got {checks.shown(given)}"
        )
    return [{field: value} for value in values[:-1] + values[-1:] * num_layers]


def _memories(num_memories: Sequence[int] | None, num_layers: int) -> list[int | None]:
    """Returns z of each hidden layer; None leaves it to the pattern."""
    if num_memories is None:
        return [None] * num_layers
    given = checks.integers("num_memories", num_memories, 1)
    if len(given) != num_layers:
        raise JsplitError(
            f"num_memories must have {num_layers} entries, one per hidden layer, "
            f"got {checks.shown(num_memories)}"
        )
    return list(given)


def _layer(
    num_inputs: int, num_outputs: int, pattern: Pattern, rngs: nnx.Rngs
) -> nnx.Module:
    if pattern.junction(num_inputs, num_outputs).density < 1:
        return SparseLinear(num_inputs, num_outputs, pattern, rngs=rngs)
    return nnx.Linear(
        num_inputs,
        num_outputs,
        kernel_init=nnx.initializers.he_normal(),
        bias_init=nnx.initializers.constant(BIAS),
        rngs=rngs,
    )
