"""A fully connected network with an exit after every hidden layer.

Here: its block and the network. Not here: layers with predefined sparsity
(`sparse_mlp`), which share the block.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.layers import to_unit
from jsplit.types import JsplitError


class HiddenLayer(nnx.Module):
    """A layer and a ReLU; the first one also turns images into rows."""

    def __init__(self, layer: nnx.Module, num_features: int | None = None) -> None:
        """Takes the layer and, for the first, the features it reads."""
        self.layer = layer
        self.num_features = num_features

    def __call__(self, x: Array) -> Array:
        """Maps [B, n_in], or [B, ...] images in the first layer, to [B, n_out]."""
        if self.num_features is not None:
            x = _rows(x, self.num_features)
        return nnx.relu(self.layer(x))  # type: ignore[operator]


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
        num_features: int = 784,
        widths: Sequence[int] = (64, 64, 64),
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            num_features: numbers in one sample, such as 784 for images of 28 x 28;
                smaller samples are padded with zeros.
            widths: units of each of the L >= 2 hidden layers.
            rngs: source of the initial weights.

        Raises:
            JsplitError: if a size is not a positive integer, or if `widths` has fewer
                than 2 entries.
        """
        num_classes = checks.integer("num_classes", num_classes, 2)
        num_features = checks.integer("num_features", num_features, 1)
        widths = checks.integers("widths", widths, 1, at_least=2)
        init = nnx.initializers.he_normal()
        blocks = [
            HiddenLayer(
                nnx.Linear(before, after, kernel_init=init, rngs=rngs),
                num_features if number == 0 else None,
            )
            for number, (before, after) in enumerate(
                itertools.pairwise((num_features, *widths))
            )
        ]
        super().__init__(
            blocks=blocks,
            heads=[nnx.Linear(width, num_classes, rngs=rngs) for width in widths],
            num_classes=num_classes,
            num_features=num_features,
            widths=widths,
        )


def _rows(x: Array, num_features: int) -> Array:
    """Returns images as float32 rows [B, num_features], padded with zeros."""
    rows = to_unit(x.reshape(len(x), -1)).astype(jnp.float32)
    if rows.shape[1] > num_features:
        raise JsplitError(
            f"num_features must be at least the {rows.shape[1]} numbers of an image, "
            f"got {num_features}"
        )
    padding = ((0, 0, 0), (0, num_features - rows.shape[1], 0))
    return jax.lax.pad(rows, jnp.float32(0), padding)
