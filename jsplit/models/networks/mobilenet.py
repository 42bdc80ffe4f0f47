"""MobileNetV2 with the exits of I-SplitEE.

Here: its feature blocks, its heads and the network. Not here: the exits themselves
(`multi_exit`), the convolutions (`layers`), weights trained by others
(`weights.mobilenet`).
"""

import itertools
from typing import Literal, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.layers import (
    BatchNorm,
    depthwise3x3,
    pointwise,
    to_unit,
    windows3x3,
)

# Number of feature blocks up to and including each exit, the stem being the first
# of 19: the exit "after block 18" is behind torchvision's features[17], the final one
# behind features[18]. Only so does a cost of 0.1 per block end at the published 1.9.
EXITS = (3, 6, 9, 12, 15, 18, 19)

# Published for ImageNet and expected by published weights.
PIXEL_MEAN, PIXEL_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Stage(NamedTuple):
    """One line of the paper's table 2: blocks that share their width."""

    expansion: int
    channels: int  # at width 1
    blocks: int
    stride: int  # of the first block; the others have 1


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
STEM_CHANNELS, LAST_CHANNELS = 32, 1280

# Strides of the stem and of the first block of the second stage. Images of 32 x 32
# would be 1 x 1 at the end with the published strides; these leave 4 x 4.
STEM_STRIDES = {"imagenet": (2, 2), "cifar": (1, 1)}


def divisible(channels: float) -> int:
    """Returns the multiple of 8 nearest to `channels`, at least 8 and 90 % of it.

    Example:
        >>> from jsplit.models.networks.mobilenet import divisible
        >>> [divisible(0.35 * channels) for channels in (16, 24, 32, 160)]
        [8, 8, 16, 56]
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _kernel(
    size: int, in_channels: int, out_channels: int, rngs: nnx.Rngs
) -> nnx.Param:
    """Returns weights [size, size, in, out], drawn as He et al. do.

    A depthwise convolution has one input channel per output.
    """
    init = nnx.initializers.he_normal()
    shape = (size, size, in_channels, out_channels)
    return nnx.Param(init(rngs.params(), shape, jnp.float32))


class Stem(nnx.Module):
    """Pixels to the first map: normalise, 3 x 3 convolution, batch norm, ReLU6."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, rngs: nnx.Rngs
    ) -> None:
        """Takes the channels in and out and the stride, 1 or 2."""
        self.stride = stride
        self.kernel = _kernel(3, in_channels, out_channels, rngs)
        self.norm = BatchNorm(out_channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps images [B, H, W, in], uint8 or [0, 1], to [B, H', W', out]."""
        colour = x.shape[-1] == len(PIXEL_MEAN)
        mean = jnp.asarray(PIXEL_MEAN if colour else sum(PIXEL_MEAN) / 3, jnp.float32)
        std = jnp.asarray(PIXEL_STD if colour else sum(PIXEL_STD) / 3, jnp.float32)
        kernel = self.kernel[...]
        # Whatever the pixels come in, all that follows is in the dtype of the weights.
        x = ((to_unit(x) - mean) / std).astype(kernel.dtype)
        x = windows3x3(x, self.stride)
        kernel = kernel.reshape(x.shape[-1], -1)
        return nnx.relu6(self.norm(pointwise(x, kernel)))


class Pointwise(nnx.Module):
    """1 x 1 convolution as a matrix product, batch norm, ReLU6 if `active`."""

    def __init__(
        self, in_channels: int, out_channels: int, *, active: bool, rngs: nnx.Rngs
    ) -> None:
        """Takes the channels in and out and whether a ReLU6 follows."""
        self.active = active
        self.kernel = _kernel(1, in_channels, out_channels, rngs)
        self.norm = BatchNorm(out_channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to [B, H, W, out]."""
        x = self.norm(pointwise(x, self.kernel[0, 0]))
        return nnx.relu6(x) if self.active else x


class Depthwise(nnx.Module):
    """3 x 3 convolution of each channel on its own, batch norm, ReLU6."""

    def __init__(self, channels: int, *, stride: int, rngs: nnx.Rngs) -> None:
        """Takes the number of channels and the stride, 1 or 2."""
        self.stride = stride
        self.kernel = _kernel(3, 1, channels, rngs)
        self.norm = BatchNorm(channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, channels] to [B, H', W', channels]."""
        x = depthwise3x3(x, self.kernel[:, :, 0], self.stride)
        return nnx.relu6(self.norm(x))


class InvertedResidual(nnx.Module):
    """Widen, convolve each channel on its own, narrow; add the input where it fits."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        stride: int,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the channels, how many times wider the inside is, and the stride."""
        hidden = expansion * in_channels
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = (
            Pointwise(in_channels, hidden, active=True, rngs=rngs)
            if expansion > 1
            else None
        )
        self.depthwise = Depthwise(hidden, stride=stride, rngs=rngs)
        self.project = Pointwise(hidden, out_channels, active=False, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to [B, H', W', out]."""
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class SideHead(nnx.Module):
    """I-SplitEE's exit: batch norm, global average pool, linear classifier."""

    def __init__(self, in_channels: int, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """Takes the channels of the activation and the number of classes."""
        self.norm = BatchNorm(in_channels, rngs=rngs)
        self.linear = nnx.Linear(in_channels, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to logits [B, C]."""
        return self.linear(self.norm(x).mean(axis=(1, 2)))


class FinalHead(nnx.Module):
    """MobileNetV2's own classifier: global average pool, dropout, linear."""

    def __init__(
        self, in_channels: int, num_classes: int, *, dropout: float, rngs: nnx.Rngs
    ) -> None:
        """Takes the channels, the number of classes and the share dropped."""
        self.dropout = nnx.Dropout(dropout, deterministic=True, rngs=rngs)
        self.linear = nnx.Linear(in_channels, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to logits [B, C]."""
        return self.linear(self.dropout(x.mean(axis=(1, 2))))


class MobileNetV2(MultiExit):
    """MobileNetV2 with seven exits: after feature blocks 3, 6, 9, 12, 15, 18 and 19.

    The 19 feature blocks are those of the paper and of torchvision's `features`: the
    stem, 17 inverted residuals, the last 1 x 1 convolution. They are counted from 1,
    so that the exit after block n has n blocks before it and costs 0.1 n in I-SplitEE.

    `width` scales all channels, rounded to multiples of 8. The last 1280 do not shrink
    below width 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import MobileNetV2
        >>> build = lambda: MobileNetV2(10, width=0.35, rngs=nnx.Rngs(0))
        >>> images = jnp.zeros((2, 32, 32, 3), jnp.uint8)
        >>> nnx.eval_shape(lambda: build()(images)).shape
        (2, 7, 10)

    References:
        Sandler et al., "MobileNetV2", arXiv 1801.04381, table 2. Bajpai et al.,
        "I-SplitEE", arXiv 2401.10541, for the exits.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        width: float = 1.0,
        stem: Literal["cifar", "imagenet"] = "cifar",
        in_channels: int = 3,
        dropout: float = 0.2,
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            width: factor on all channels, 0.05..10.
            stem: "imagenet" for the published strides (an image is 32 times smaller
                at the end), "cifar" for stride 1 in the stem and in the second stage
                (8 times).
            in_channels: channels of the images; 1 for grey, 3 for colour.
            dropout: share of the features dropped before the final classifier in
                training, 0..0.99.
            rngs: source of the initial weights and of dropout.

        Raises:
            JsplitError: if an argument is out of range.
        """
        num_classes = checks.integer("num_classes", num_classes, 2)
        width = checks.number("width", width, 0.05, 10)
        checks.choice("stem", stem, STEM_STRIDES)
        in_channels = checks.integer("in_channels", in_channels, 1)
        dropout = checks.number("dropout", dropout, 0, 0.99)
        features, after = _features(in_channels, width, stem, rngs)
        super().__init__(
            blocks=[
                nnx.Sequential(*features[start:end])
                for start, end in itertools.pairwise((0, *EXITS))
            ],
            heads=[
                *(
                    SideHead(after[count - 1], num_classes, rngs=rngs)
                    for count in EXITS[:-1]
                ),
                FinalHead(after[-1], num_classes, dropout=dropout, rngs=rngs),
            ],
            num_classes=num_classes,
            width=width,
            stem=stem,
            in_channels=in_channels,
            dropout=dropout,
        )


def _features(
    in_channels: int, width: float, stem: str, rngs: nnx.Rngs
) -> tuple[list[nnx.Module], list[int]]:
    """Returns the 19 feature blocks and the channels behind each."""
    stem_stride, second_stride = STEM_STRIDES[stem]
    channels = divisible(STEM_CHANNELS * width)
    features: list[nnx.Module] = [
        Stem(in_channels, channels, stride=stem_stride, rngs=rngs)
    ]
    after = [channels]
    for number, stage in enumerate(STAGES, start=1):
        stride = second_stride if number == 2 else stage.stride
        for block in range(stage.blocks):
            channels = divisible(stage.channels * width)
            features.append(
                InvertedResidual(
                    after[-1],
                    channels,
                    expansion=stage.expansion,
                    stride=stride if block == 0 else 1,
                    rngs=rngs,
                )
            )
            after.append(channels)
    last = divisible(LAST_CHANNELS * max(1.0, width))
    features.append(Pointwise(channels, last, active=True, rngs=rngs))
    return features, [*after, last]
