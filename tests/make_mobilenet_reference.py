"""Writes mobilenet_reference.npz: what others compute of our MobileNetV2's weights.

The weights are random and too many to store: they are drawn again, and a checksum
says whether they are the same. Run with torch and transformers installed:
python tests/make_mobilenet_reference.py
"""

import pathlib
import zlib

import numpy as np
from thin_mobilenet import as_torchvision, thin_mobilenet

from jsplit.bench.rivals import torch_mobilenet
from jsplit.models.networks.mobilenet import PIXEL_MEAN, PIXEL_STD

FILE = pathlib.Path(__file__).parent / "mobilenet_reference.npz"
# Thinner ones would differ: where stem and first residual have equal widths,
# torchvision adds the input of the residual and `transformers` does not.
WIDTH = 0.3


def large():
    """A network for large images, and some."""
    images = np.random.default_rng(3).uniform(size=(2, 64, 64, 3)).astype(np.float32)
    return thin_mobilenet(width=WIDTH), images


def small():
    """A network for small images, and some."""
    images = np.random.default_rng(1).random((3, 16, 16, 3), np.float32)
    return thin_mobilenet(stem="cifar"), images


def checksum(model):
    """CRC-32 over all arrays of a network."""
    value = 0
    for tensor in as_torchvision(model).values():
        value = zlib.crc32(np.ascontiguousarray(tensor).tobytes(), value)
    return value


def pixels_of(torch, images):
    """Images as PyTorch's networks take them."""
    scaled = (images - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_STD)
    return torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy())


def transformers_name(name):
    """The name in `transformers` of a tensor of torchvision's."""
    _, number, rest = name.split(".", 2)
    kind = name.rpartition(".")[2]
    if number == "0":
        part = ("conv_stem.first_conv", rest[0] == "0")
    elif number == "18":
        part = ("conv_1x1", rest[0] == "0")
    else:
        where = "conv_stem" if number == "1" else f"layer.{int(number) - 2}"
        names = ["conv_3x3", "reduce_1x1"]
        if number != "1":
            names = ["expand_1x1", *names]
        position = rest.removeprefix("conv.").split(".")
        index = int(position[0])
        last = len(names) - 1
        if index < last:
            part = (f"{where}.{names[index]}", position[1] == "0")
        else:
            part = (f"{where}.{names[last]}", index == last)
    layer, convolution = part
    return f"{layer}.{'convolution' if convolution else 'normalization'}.{kind}"


def transformers_outputs(model, images):
    """Outputs of the residuals [B, h, w, channels] and the logits of `transformers`."""
    import torch
    import transformers

    config = transformers.MobileNetV2Config(
        depth_multiplier=WIDTH, tf_padding=False, layer_norm_eps=1e-5, num_labels=3
    )
    tensors = as_torchvision(model)
    theirs = transformers.MobileNetV2ForImageClassification(config).eval()
    named = {
        "mobilenet_v2." + transformers_name(name): torch.from_numpy(value.copy())
        for name, value in tensors.items()
        if name.startswith("features")
    }
    for kind in ("weight", "bias"):
        value = tensors[f"classifier.1.{kind}"].copy()
        named[f"classifier.{kind}"] = torch.from_numpy(value)
    missing, unexpected = theirs.load_state_dict(named, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    with torch.no_grad():
        out = theirs(pixels_of(torch, images), output_hidden_states=True)
    hidden = [x.numpy().transpose(0, 2, 3, 1) for x in out.hidden_states]
    return hidden, out.logits.numpy()


def torch_logits(model, images):
    """Logits of the MobileNetV2 in PyTorch that `jsplit bench models` times."""
    import torch

    net = torch_mobilenet(torch, dict(model.arguments))
    # Read, not counted, by PyTorch: batches seen, and exits that it does not have.
    tensors = {k: torch.tensor(v) for k, v in as_torchvision(model).items()}
    missing, unexpected = net.load_state_dict(tensors, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing)
    assert all(name.startswith("exits.") for name in unexpected)
    with torch.no_grad():
        return net(pixels_of(torch, images)).numpy()


def main():
    model, images = large()
    hidden, logits = transformers_outputs(model, images)
    other, small_images = small()
    np.savez_compressed(
        FILE,
        checksums=np.array([checksum(model), checksum(other)]),
        logits=logits,
        small_logits=torch_logits(other, small_images),
        **{f"hidden/{i:02}": state for i, state in enumerate(hidden)},
    )
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
