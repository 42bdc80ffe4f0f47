"""A small convolutional network with an exit after every block.

Here: its blocks and the network. Not here: the exits themselves (`multi_exit`), its
heads (`layers`).
"""

import itertools
from collections.abc import Sequence

from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.layers import PoolHead, to_unit, windows3x3


class ConvBlock(nnx.Module):
    """3 x 3 convolution, layer norm over the channels, ReLU.

    Layer norm, not batch norm: a sample's logits must not depend on who else is in
    its batch.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, rngs: nnx.Rngs
    ) -> None:
        """Takes the channels in and out and the stride, 1 or 2."""
        self.stride = stride
        self.linear = nnx.Linear(
            9 * in_channels, out_channels, use_bias=False, rngs=rngs
        )
        self.norm = nnx.LayerNorm(out_channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to [B, ceil(H / stride), ceil(W / stride), out]."""
        x = windows3x3(to_unit(x), self.stride)
        return nnx.relu(self.norm(self.linear(x)))


class CNN(MultiExit):
    """Convolutional blocks with an exit after each, for small images.

    A block that is wider than the one before also halves height and width, so the
    cost of a layer stays roughly level. Early exits see little of the image and few
    channels. They are cheaper and clearly worse; that is what a policy trades.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import CNN
        >>> model = CNN(10, rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((2, 8, 8, 1))).shape
        (2, 6, 10)
        >>> model.head(jnp.zeros((2, 8, 8, 1)), 4).shape
        (2, 4, 4, 32)
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 1,
        widths: Sequence[int] = (16, 16, 16, 32, 32, 32),
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            in_channels: channels of the images; 1 for grey, 3 for colour.
            widths: channels of each of the L >= 2 blocks.
            rngs: source of the initial weights.

        Raises:
            JsplitError: if a size is not a positive integer, or if `widths` has fewer
                than 2 entries.
        """
        num_classes = checks.integer("num_classes", num_classes, 2)
        in_channels = checks.integer("in_channels", in_channels, 1)
        widths = checks.integers("widths", widths, 1, at_least=2)
        before = [in_channels, *widths[:-1]]
        strides = [1] + [
            2 if wider > width else 1 for width, wider in itertools.pairwise(widths)
        ]
        super().__init__(
            blocks=[
                ConvBlock(channels, width, stride=stride, rngs=rngs)
                for channels, width, stride in zip(before, widths, strides, strict=True)
            ],
            heads=[PoolHead(width, num_classes, rngs=rngs) for width in widths],
            num_classes=num_classes,
            in_channels=in_channels,
            widths=widths,
        )
