"""A fully connected network with an exit after every hidden layer.

Here: its block and the network. Not here: the exits themselves (`multi_exit`).
Called by `registry` and by users.
"""

import itertools
from collections.abc import Callable, Sequence

from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.layers import to_unit
from jsplit.models.multi_exit import MultiExit
from jsplit.types import JsplitError

# Makes a layer [B, in] -> [B, out] of (in, out, rngs).
MakeLayer = Callable[[int, int, nnx.Rngs], nnx.Module]


def dense(num_inputs: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    """Returns a layer in which every input meets every output, as He et al. draw it."""
    init = nnx.initializers.he_normal()
    return nnx.Linear(num_inputs, num_outputs, kernel_init=init, rngs=rngs)


class Hidden(nnx.Module):
    """A hidden layer: flatten, layer, ReLU."""

    def __init__(self, layer: Callable[[Array], Array]) -> None:
        """Takes the layer, a module [B, in] -> [B, out]."""
        self.layer = layer

    def __call__(self, x: Array) -> Array:
        """Maps [B, ...] with `in` numbers a sample to [B, out]."""
        return nnx.relu(self.layer(to_unit(x.reshape(len(x), -1))))


def hidden_layers(
    num_classes: int,
    num_features: int,
    widths: Sequence[int],
    *,
    make_layer: MakeLayer = dense,
    make_head: MakeLayer = dense,
    rngs: nnx.Rngs,
) -> tuple[list[nnx.Module], list[nnx.Module]]:
    """Returns the blocks and heads of a network of hidden layers.

    `MLP` is this with dense layers; layers of another kind make another network.

    Args:
        num_classes: C >= 2.
        num_features: Numbers in one sample, >= 1.
        widths: Units of each of the L >= 2 hidden layers.
        make_layer: Makes a hidden layer of (inputs, outputs, rngs), called L times from
            the input on; the ReLU is added here.
        make_head: Makes an exit likewise, called L times after them.
        rngs: Source of the initial weights.

    Returns:
        blocks: L hidden layers.
        heads: L exits.

    Raises:
        JsplitError: A size is out of range.
    """
    num_classes = checks.integer("num_classes", num_classes, 2)
    num_features = checks.integer("num_features", num_features, 1)
    widths = [checks.integer("each of widths", width, 1) for width in widths]
    if len(widths) < 2:
        raise JsplitError(f"widths must have at least 2 entries, got {widths}")
    pairs = itertools.pairwise((num_features, *widths))
    blocks = [Hidden(make_layer(before, after, rngs)) for before, after in pairs]
    return list(blocks), [make_head(width, num_classes, rngs) for width in widths]


class MLP(MultiExit):
    """Dense hidden layers with an exit after each.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import MLP
        >>> model = MLP(10, num_features=784, widths=(32, 32), rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((5, 28, 28, 1), jnp.uint8)).shape
        (5, 2, 10)
    """

    def __init__(
        self,
        num_classes: int,
        *,
        num_features: int,
        widths: Sequence[int] = (64, 64, 64),
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            num_features: Numbers in one sample, such as 784 for images of 28 x 28.
            widths: Units of each of the L >= 2 hidden layers.
            rngs: Source of the initial weights.

        Raises:
            JsplitError: A size is not a positive integer, or `widths` has fewer
                than 2 entries.
        """
        blocks, heads = hidden_layers(num_classes, num_features, widths, rngs=rngs)
        super().__init__(
            blocks,
            heads,
            num_classes=int(num_classes),
            num_features=int(num_features),
            widths=[int(width) for width in widths],
        )
