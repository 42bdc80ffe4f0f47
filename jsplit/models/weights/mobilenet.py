"""Which tensor of a MobileNetV2 file is which array of `MobileNetV2`.

Here: torchvision's names. Not here: reading files, shapes and faults (`tensors`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jsplit.models.networks.mobilenet import EXITS, InvertedResidual, MobileNetV2
from jsplit.models.weights.tensors import Source, fill, linear, renamed

# The network inside a larger one, and a counter of batches that nothing reads.
PREFIX = re.compile(r"^(module\.)?(backbone\.)?(?=features\.|classifier\.|exits\.)")
IGNORED = re.compile(r"\.num_batches_tracked$")
KERNEL = (2, 3, 1, 0)  # PyTorch's axes in our order
NORM = {
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def load_mobilenet(
    model: MobileNetV2,
    tensors: Mapping[str, np.ndarray],
    file: str,
    *,
    random_exits: bool = False,
) -> None:
    """Replaces the weights of a `MobileNetV2` by those of a torchvision file.

    Tensors have torchvision's names: "features.0.0.weight",
    "features.1.conv.0.1.running_mean", ..., "classifier.1.bias"; they may begin with
    "module." or "backbone.". torchvision has no side exits; those of exit I, from 0,
    are taken from "exits.I.norm.weight" (and so on) and "exits.I.linear.weight".

    Args:
        model: network of the width and input channels of the file. It is changed.
        tensors: by name, as `read_weights` gives them.
        file: where they come from, for the message.
        random_exits: whether exits that the file lacks, and a final classifier that it
            has for another number of classes, stay as they are. False: such a file is
            refused.

    Raises:
        JsplitError: if tensors are missing, unexpected or misshapen; all are named.
    """
    tensors = {
        PREFIX.sub("", name): tensor
        for name, tensor in tensors.items()
        if not IGNORED.search(name)
    }
    sources = _features(model) | _exits(model)
    if random_exits:
        final: Any = model.heads[-1]
        last = final.linear.bias.shape
        theirs = tensors.get("classifier.1.bias")
        if theirs is not None and theirs.shape != last:
            tensors = {k: v for k, v in tensors.items() if "classifier" not in k}
        for number in range(model.num_exits):
            own = {k: v for k, v in sources.items() if k.startswith(f"heads.{number}.")}
            if not any(name in tensors for one in own.values() for name in one.names):
                sources = {k: v for k, v in sources.items() if k not in own}
    fill(model, sources, tensors, file)


def _features(model: MobileNetV2) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    number = 0
    groups: list[Any] = list(model.blocks)
    for block, group in enumerate(groups):
        for position, feature in enumerate(group.layers):
            ours = f"blocks.{block}.layers.{position}"
            if isinstance(feature, InvertedResidual):
                parts = ["depthwise", "project"]
                if feature.expand is not None:
                    parts.insert(0, "expand")
                for part, conv, norm in _convolutions(parts):
                    theirs = f"features.{number}.conv"
                    sources |= _conv(
                        f"{ours}.{part}", f"{theirs}.{conv}", f"{theirs}.{norm}"
                    )
            else:
                theirs = f"features.{number}"
                sources |= _conv(ours, f"{theirs}.0", f"{theirs}.1")
            number += 1
    return sources


def _convolutions(parts: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yields each part with the names of its convolution and batch norm.

    All but the last have a ReLU6 and are a `Sequential` of their own.
    """
    for index, part in enumerate(parts[:-1]):
        yield part, f"{index}.0", f"{index}.1"
    yield parts[-1], f"{len(parts) - 1}", f"{len(parts)}"


def _conv(ours: str, conv: str, norm: str) -> dict[str, Source]:
    kernel = {f"{ours}.kernel": Source((f"{conv}.weight",), KERNEL)}
    return kernel | renamed(f"{ours}.norm", norm, NORM)


def _exits(model: MobileNetV2) -> dict[str, Source]:
    last = model.num_exits - 1
    sources: dict[str, Source] = {}
    for number in range(len(EXITS)):
        theirs = "classifier.1" if number == last else f"exits.{number}.linear"
        ours = f"heads.{number}"
        if number < last:
            sources |= renamed(f"{ours}.norm", f"exits.{number}.norm", NORM)
        sources |= linear(f"{ours}.linear", theirs)
    return sources
