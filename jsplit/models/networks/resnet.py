"""A residual network for small images, with an exit after every block.

Here: its blocks and the network. Not here: the exits themselves (`multi_exit`), the
layers (`layers`).
"""

from collections.abc import Sequence

from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.layers import BatchNorm, PoolHead, to_unit, windows3x3
from jsplit.types import JsplitError


class Conv(nnx.Module):
    """3 x 3 convolution as a matrix product, then batch norm."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, rngs: nnx.Rngs
    ) -> None:
        """Takes the channels in and out and the stride, 1 or 2."""
        self.stride = stride
        self.linear = nnx.Linear(
            9 * in_channels,
            out_channels,
            use_bias=False,
            kernel_init=nnx.initializers.he_normal(),
            rngs=rngs,
        )
        self.norm = BatchNorm(out_channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to [B, ceil(H / stride), ceil(W / stride), out]."""
        return self.norm(self.linear(windows3x3(x, self.stride)))


class Shortcut(nnx.Module):
    """Every `stride`-th pixel through a 1 x 1 convolution and batch norm."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, rngs: nnx.Rngs
    ) -> None:
        """Takes the channels in and out and the stride, 1 or 2."""
        self.stride = stride
        self.linear = nnx.Linear(in_channels, out_channels, use_bias=False, rngs=rngs)
        self.norm = BatchNorm(out_channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to [B, ceil(H / stride), ceil(W / stride), out]."""
        return self.norm(self.linear(x[:, :: self.stride, :: self.stride]))


class Residual(nnx.Module):
    """relu(shortcut(x) + conv(relu(conv(x)))), after a stem where there is one.

    The shortcut is x itself unless the shape changes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        stem: Conv | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the channels in and out, the stride, 1 or 2, and a stem before it."""
        self.stem = stem
        self.first = Conv(in_channels, out_channels, stride=stride, rngs=rngs)
        self.second = Conv(out_channels, out_channels, stride=1, rngs=rngs)
        self.shortcut = (
            Shortcut(in_channels, out_channels, stride=stride, rngs=rngs)
            if stride > 1 or in_channels != out_channels
            else None
        )

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to [B, ceil(H / stride), ceil(W / stride), out]."""
        if self.stem is not None:
            x = nnx.relu(self.stem(to_unit(x)))
        y = self.second(nnx.relu(self.first(x)))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return nnx.relu(x + y)


class ResNet(MultiExit):
    """Residual blocks with an exit after each, for images of about 32 x 32.

    The network of He et al. for CIFAR-10: a 3 x 3 stem, then stages of blocks of two
    3 x 3 convolutions, each stage but the first at half the height and width. The
    stem belongs to the first block. `widths=(16, 32, 64)` and 3 blocks a stage make
    ResNet-20, with 9 exits.

    It has batch norm, as published. Batch norm trains deep networks faster than layer
    norm and is one multiply-add in evaluation. With its stored statistics a sample's
    logits do not depend on the rest of the batch.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import ResNet
        >>> model = ResNet(10, widths=(4, 8), blocks_per_stage=1, rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((2, 8, 8, 3))).shape
        (2, 2, 10)

    References:
        He et al., "Deep residual learning", arXiv 1512.03385, section 4.2. Where the
        shape changes this has a projection (their option B).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        widths: Sequence[int] = (16, 32, 64),
        blocks_per_stage: int = 3,
        in_channels: int = 3,
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            widths: channels of each stage.
            blocks_per_stage: blocks in each stage, >= 1; L = len(widths) times it, at
                least 2.
            in_channels: channels of the images; 1 for grey, 3 for colour.
            rngs: source of the initial weights.

        Raises:
            JsplitError: if a size is not a positive integer, or if there are fewer
                than 2 blocks.
        """
        num_classes = checks.integer("num_classes", num_classes, 2)
        widths = checks.integers("widths", widths, 1)
        blocks_per_stage = checks.integer("blocks_per_stage", blocks_per_stage, 1)
        in_channels = checks.integer("in_channels", in_channels, 1)
        if len(widths) * blocks_per_stage < 2:
            raise JsplitError(
                "widths and blocks_per_stage must make at least 2 blocks, "
                f"got {widths} and {blocks_per_stage}"
            )
        stem = Conv(in_channels, widths[0], stride=1, rngs=rngs)
        blocks, before = [], widths[0]
        for stage, width in enumerate(widths):
            for number in range(blocks_per_stage):
                block = Residual(
                    before,
                    width,
                    stride=2 if stage > 0 and number == 0 else 1,
                    stem=None if blocks else stem,
                    rngs=rngs,
                )
                blocks.append(block)
                before = width
        super().__init__(
            blocks=blocks,
            heads=[
                PoolHead(width, num_classes, rngs=rngs)
                for width in widths
                for _ in range(blocks_per_stage)
            ],
            num_classes=num_classes,
            widths=widths,
            blocks_per_stage=blocks_per_stage,
            in_channels=in_channels,
        )
