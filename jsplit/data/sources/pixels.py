"""Readers of pixels in files of many images: CIFAR-10, MNIST, CIFAR-10-C."""

import gzip
import pathlib
import pickle
from typing import Any

import numpy as np

from jsplit.data.catalogue import CORRUPTIONS, Entry
from jsplit.data.images import encode_png
from jsplit.data.sources.common import Examples, Splits, need
from jsplit.types import JsplitError


def cifar10(entry: Entry, folder: pathlib.Path) -> Splits:
    """The binary version (data_batch_1.bin) or the one for Python (data_batch_1)."""
    files = {
        "train": [f"data_batch_{i}" for i in range(1, 6)],
        "test": ["test_batch"],
    }
    paths = {
        split: [need(entry, folder, f"{name}.bin", name) for name in names]
        for split, names in files.items()
    }

    def examples(split: str) -> Examples:
        index = 0
        for path in paths[split]:
            pixels, labels = _cifar_batch(path)
            for image, label in zip(pixels, labels, strict=True):
                png = encode_png(image.reshape(3, 32, 32).transpose(1, 2, 0))
                identifier = f"{split}_{index:05d}"
                yield index, {"id": identifier, "image": png, "label": int(label)}
                index += 1

    return {split: lambda split=split: examples(split) for split in files}


def _cifar_batch(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixels [n, 3072] and labels [n] of one file."""
    try:
        if path.suffix == ".bin":
            rows = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)
            return rows[:, 1:], rows[:, 0]
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
        return np.asarray(batch[b"data"]).reshape(-1, 3072), np.asarray(
            batch[b"labels"]
        )
    except (ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise JsplitError(f"{path} is no batch of CIFAR-10: {error}") from None


class _ArraysOnly(pickle.Unpickler):
    """Unpickles dictionaries and NumPy arrays; a pickle can otherwise run anything."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        module = module_name.replace("numpy.core", "numpy._core")
        if (module, global_name) in {
            ("_codecs", "encode"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }:
            return super().find_class(module, global_name)
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def mnist(entry: Entry, folder: pathlib.Path) -> Splits:
    """The four IDX files, train-images-idx3-ubyte and so on, or gzipped."""
    paths = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        stems = (f"{prefix}-images{{}}idx3-ubyte", f"{prefix}-labels{{}}idx1-ubyte")
        paths[split] = [
            need(
                entry,
                folder,
                *(stem.format(dot) + end for dot in "-." for end in ("", ".gz")),
            )
            for stem in stems
        ]

    def examples(split: str) -> Examples:
        images, labels = map(_idx, paths[split])
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": encode_png(image[:, :, None]), "label": int(label)}

    return {split: lambda split=split: examples(split) for split in paths}


def _idx(path: pathlib.Path) -> np.ndarray:
    """Returns the uint8 array of an IDX file: magic, big-endian sizes, then bytes."""
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if content[:3] != b"\0\0\x08":
            raise ValueError(f"it starts with {content[:4]!r}")
        sizes = np.frombuffer(content, ">u4", content[3], 4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(
            sizes
        )
    except (ValueError, OSError, EOFError, IndexError) as error:
        raise JsplitError(f"{path} is no IDX file of bytes: {error}") from None


def cifar10_c(entry: Entry, folder: pathlib.Path) -> Splits:
    """One file per corruption: severities 1 to 5, one after the other."""
    corruption, _, severity = entry.tfds.partition("/")[2].rpartition("_")
    path = need(entry, folder, f"{CORRUPTIONS[corruption]}.npy")
    images, labels = _npy(path), _npy(need(entry, folder, "labels.npy"))
    if len(images) != len(labels) or len(images) % 5 or images.shape[1:] != (32, 32, 3):
        raise JsplitError(
            f"{path} must hold five severities of 32 x 32 x 3, one row per label, got "
            f"{images.shape} and {len(labels)} labels"
        )
    number = len(images) // 5
    first = (int(severity) - 1) * number

    def examples() -> Examples:
        for index in range(number):
            png = encode_png(np.asarray(images[first + index]))
            yield index, {"image": png, "label": int(labels[first + index])}

    return {"test": examples}


def _npy(path: pathlib.Path) -> np.ndarray:
    """Returns the array of a file, mapped into memory."""
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        reason = str(error).split(". ")[0]
        raise JsplitError(f"{path} is no whole npy file: {reason}") from None
