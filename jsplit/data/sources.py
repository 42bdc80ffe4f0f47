"""Readers of source files: what a data set's authors distribute, as examples.

Here: one reader per form of file, and which data set comes in which. Not here: how
examples are written (`prepare`). Keys are those of the builders in TFDS, because TFDS
orders records by a hash of their key: so the order is the same, too.
"""

import csv
import gzip
import json
import pathlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jsplit.data.catalogue import CIFAR10_C, CORRUPTIONS, Entry
from jsplit.data.images import encode_png
from jsplit.types import JsplitError

Examples = Iterator[tuple[Any, dict[str, Any]]]
Splits = dict[str, Callable[[], Examples]]
UNLABELLED = -1


def reader_of(entry: Entry) -> Callable[[Entry, pathlib.Path], Splits]:
    """Returns the function that reads the source files of a data set.

    The function takes the entry and a folder, looks for the files there, and returns
    for every split it found a function that yields keys and examples.
    """
    family = entry.name.split("/")[0]
    if family == CIFAR10_C:
        return _cifar10_c
    return _READERS.get(family, _image_folder)


def _locate(folder: pathlib.Path, *names: str) -> pathlib.Path | None:
    """Returns the first of the files that is in the folder or just below, or None."""
    for name in names:
        for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if path.is_file():
                return path
    return None


def _need(entry: Entry, folder: pathlib.Path, *names: str) -> pathlib.Path:
    path = _locate(folder, *names)
    if path is None:
        raise JsplitError(
            f"source of {entry.name} must hold {' or '.join(names)}, got {folder} "
            f"without (from {entry.home})"
        )
    return path


def _some(entry: Entry, folder: pathlib.Path, splits: Splits, *names: str) -> Splits:
    """Returns the splits, or raises if no file was there for any of them."""
    if not splits:
        _need(entry, folder, *names)
    return splits


# --- images ---------------------------------------------------------------------------


def _cifar10(entry: Entry, folder: pathlib.Path) -> Splits:
    """The binary version (data_batch_1.bin) or the one for Python (data_batch_1)."""
    files = {
        "train": [f"data_batch_{i}" for i in range(1, 6)],
        "test": ["test_batch"],
    }
    paths = {
        split: [_need(entry, folder, f"{name}.bin", name) for name in names]
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
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }:
            return super().find_class(module, global_name)
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _mnist(entry: Entry, folder: pathlib.Path) -> Splits:
    paths = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        stems = (f"{prefix}-images{{}}idx3-ubyte", f"{prefix}-labels{{}}idx1-ubyte")
        paths[split] = [
            _need(
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


def _cifar10_c(entry: Entry, folder: pathlib.Path) -> Splits:
    """One file per corruption: severities 1 to 5, one after the other."""
    corruption, _, severity = entry.tfds.partition("/")[2].rpartition("_")
    path = _need(entry, folder, f"{CORRUPTIONS[corruption]}.npy")
    images = np.load(path, mmap_mode="r")
    labels = np.load(_need(entry, folder, "labels.npy"))
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


# --- folders of images ----------------------------------------------------------------

_IMAGE_FILES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
# Images of each class that go into training, the others being the test set, where the
# authors give no split. 30 is what TFDS takes of Caltech-101, with another draw.
_TRAIN_PER_CLASS = {"caltech101": 30, "caltech256": 60}


def class_names(folder: pathlib.Path) -> list[str]:
    """Returns the classes of an image folder: its subfolders, or those of "train"."""
    inside = _split_folders(folder)
    top = inside.get("train") or next(iter(inside.values()), folder)
    return sorted(path.name for path in top.iterdir() if _has_images(path))


def _split_folders(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    named = {x: folder / x for x in ("train", "validation", "test")}
    return {name: path for name, path in named.items() if path.is_dir()}


def _has_images(path: pathlib.Path) -> bool:
    return path.is_dir() and any(_images(path))


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in _IMAGE_FILES)
    return sorted(found)


def _image_folder(entry: Entry, folder: pathlib.Path) -> Splits:
    """FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/*.jpg and so on for other splits."""
    folders = _split_folders(folder) or {"train": folder}
    names = class_names(folder)
    if len(names) < 2:
        raise JsplitError(
            f"source of {entry.name} must hold at least two folders of images, one per "
            f"class, got {len(names)} in {folder}"
        )
    per_class = _TRAIN_PER_CLASS.get(entry.name)

    def examples(split: str) -> Examples:
        for name in names:
            paths = _images(folders.get(split, folder) / name)
            if per_class and len(folders) == 1:
                paths = _drawn(paths, per_class)[split]
            for path in paths:
                yield (
                    f"{name}/{path.name}",
                    {
                        "image": path.read_bytes(),
                        "label": name,
                        "image/file_name": path.name,
                    },
                )

    splits = ("train", "test") if per_class and len(folders) == 1 else tuple(folders)
    return {split: lambda split=split: examples(split) for split in splits}


def _drawn(paths: list[pathlib.Path], num_train: int) -> dict[str, list[pathlib.Path]]:
    """Returns the images of a class drawn into training, and the others."""
    order = np.random.default_rng(1234).permutation(len(paths))
    return {
        "train": [paths[i] for i in sorted(order[:num_train])],
        "test": [paths[i] for i in sorted(order[num_train:])],
    }


# --- texts ----------------------------------------------------------------------------


def _table(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a table with tabs, a header and no quoting."""
    # Some texts hold characters that only `newline` below keeps inside a line.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        names = file.readline().rstrip("\r\n").split("\t")
        for line in filter(str.strip, file):
            yield dict(zip(names, line.rstrip("\r\n").split("\t"), strict=False))


# Splits and files of GLUE, then the columns of each task: features, then the label.
_GLUE_FILES = {"train": "train", "validation": "dev", "test": "test"}
_MNLI_FILES = {"train": "train"} | {
    f"{split}_{genre}": f"{file}_{genre}"
    for split, file in (("validation", "dev"), ("test", "test"))
    for genre in ("matched", "mismatched")
}
_GLUE_COLUMNS = {
    "sst2": ("sentence", "label"),
    "rte": ("sentence1", "sentence2", "label"),
    "mrpc": ("#1 String", "#2 String", "Quality"),
    "qqp": ("question1", "question2", "is_duplicate"),
    "mnli": ("sentence1", "sentence2", "gold_label"),
}


def _glue(entry: Entry, folder: pathlib.Path) -> Splits:
    files = _MNLI_FILES if entry.name == "mnli" else _GLUE_FILES
    paths = {split: _locate(folder, f"{file}.tsv") for split, file in files.items()}
    *columns, label_column = _GLUE_COLUMNS[entry.name]

    def examples(split: str, path: pathlib.Path) -> Examples:
        labelled = not split.startswith("test")
        for index, row in enumerate(_table(path)):
            texts = [row.get(column) for column in columns]
            label = row.get(label_column) if labelled else UNLABELLED
            if None in texts or label in (None, "", "-"):
                continue  # GLUE's tables have a few broken rows; TFDS drops them too
            if isinstance(label, str) and label.isdigit() and len(label) == 1:
                label = int(label)
            named = dict(zip(entry.features, texts, strict=True))
            yield index, {**named, "label": label, "idx": index}

    found = {
        split: lambda split=split, path=path: examples(split, path)
        for split, path in paths.items()
        if path is not None
    }
    return _some(entry, folder, found, "train.tsv")


def _snli(entry: Entry, folder: pathlib.Path) -> Splits:
    """snli_1.0_train.jsonl or .txt, likewise dev and test; "-" is no label."""
    files = {"train": "train", "validation": "dev", "test": "test"}

    def rows(path: pathlib.Path) -> Iterator[dict[str, str]]:
        if path.suffix != ".jsonl":
            yield from _table(path)
            return
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def examples(path: pathlib.Path) -> Examples:
        for index, row in enumerate(rows(path)):
            gold = row["gold_label"]
            yield (
                index,
                {
                    "premise": row["sentence1"],
                    "hypothesis": row["sentence2"],
                    "label": UNLABELLED if gold == "-" else gold,
                },
            )

    names = {x: (f"snli_1.0_{f}.jsonl", f"snli_1.0_{f}.txt") for x, f in files.items()}
    paths = {split: _locate(folder, *both) for split, both in names.items()}
    found = {x: lambda path=path: examples(path) for x, path in paths.items() if path}
    return _some(entry, folder, found, *names["train"])


def _scitail(entry: Entry, folder: pathlib.Path) -> Splits:
    """tsv_format/scitail_1.0_train.tsv, likewise dev and test, without a header."""
    files = {"train": "train", "validation": "dev", "test": "test"}

    def examples(path: pathlib.Path) -> Examples:
        with path.open(encoding="utf-8", newline="") as file:
            for index, row in enumerate(csv.reader(file, delimiter="\t")):
                yield index, dict(zip(("premise", "hypothesis", "label"), row[:3]))

    names = {split: f"scitail_1.0_{file}.tsv" for split, file in files.items()}
    paths = {split: _locate(folder, name) for split, name in names.items()}
    found = {x: lambda path=path: examples(path) for x, path in paths.items() if path}
    return _some(entry, folder, found, names["train"])


def _imdb(entry: Entry, folder: pathlib.Path) -> Splits:
    """aclImdb/{train,test}/{neg,pos}/*.txt, one review each."""
    top = folder / "aclImdb" if (folder / "aclImdb").is_dir() else folder
    if not (top / "train" / "neg").is_dir():
        raise JsplitError(
            f"source of {entry.name} must hold aclImdb/train/neg/*.txt, got {folder} "
            f"without (from {entry.home})"
        )

    def examples(split: str) -> Examples:
        for label in entry.classes:
            for path in sorted((top / split / label).glob("*.txt")):
                text = path.read_bytes().strip()
                yield (
                    f"aclImdb/{split}/{label}/{path.name}",
                    {
                        "text": text,
                        "label": label,
                    },
                )

    found = [split for split in entry.splits if (top / split).is_dir()]
    return {split: lambda split=split: examples(split) for split in found}


def _yelp(entry: Entry, folder: pathlib.Path) -> Splits:
    """train.csv and test.csv, lines of the form "1","A review." """

    def examples(path: pathlib.Path) -> Examples:
        with path.open(encoding="utf-8", newline="\n") as file:
            for index, line in enumerate(file):
                # As TFDS reads it: escapes inside a review stay as they are.
                line = line.rstrip("\r\n")
                yield index, {"text": line[5:-1].strip(), "label": line[1:2]}

    paths = {split: _locate(folder, f"{split}.csv") for split in entry.splits}
    found = {x: lambda path=path: examples(path) for x, path in paths.items() if path}
    return _some(entry, folder, found, "train.csv")


_READERS: dict[str, Callable[[Entry, pathlib.Path], Splits]] = {
    "cifar10": _cifar10,
    "mnist": _mnist,
    **dict.fromkeys(_GLUE_COLUMNS, _glue),
    "snli": _snli,
    "scitail": _scitail,
    "imdb": _imdb,
    "yelp": _yelp,
}
