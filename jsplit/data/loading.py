"""One split of a prepared data set, decoded, cached and mapped into memory.

Here: `load` and `load_texts`. Not here: where data sets lie (`read`), what is
known about them (`catalogue`), how arrays are kept (`cache`).
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.data import images
from jsplit.data.cache import cached
from jsplit.data.dataset import Dataset
from jsplit.data.digits import read_digits
from jsplit.data.read import Prepared, find, read_batches
from jsplit.data.text import Tokenizer
from jsplit.types import JsplitError

_Path = str | os.PathLike[str]
_Records = Sequence[Mapping[str, Any]]
_Encode = Callable[[_Records], np.ndarray]


def load(
    name: str,
    split: str,
    data_dir: _Path | None = None,
    *,
    tokenizer: Tokenizer | _Path | None = None,
    max_length: int = 128,
    image_size: int | tuple[int, int] | None = None,
    cache_dir: _Path | None = None,
    progress: bool = True,
) -> Dataset:
    """Returns one split of a prepared data set as memory-mapped arrays.

    Neither TensorFlow nor a network is used. The first call decodes every record and
    keeps the arrays in the cache; later calls map them. Examples with label -1 (GLUE's
    test splits, SNLI's pairs without a gold label) are left out.

    Args:
        name: A data set of the catalogue, see `jsplit data list`, or images of your
            own, prepared under this name.
        split: such as "train", or a slice of one: "train[:90%]", "train[90%:]",
            "test[:1000]". It counts the labelled examples, in the order of the files
            (TFDS shuffles them once, when it writes).
        data_dir: folder of all data sets; by default JSPLIT_DATA_DIR, TFDS_DATA_DIR or
            ~/tensorflow_datasets.
        tokenizer: needed for texts and unused for images; a path is read by
            `Tokenizer.from_vocab`.
        max_length: tokens of a text or a pair, S; longer ones are cut.
        image_size: pixels, or (height, width): images are cropped at the centre to
            this shape and resized. Needed where images differ in size.
        cache_dir: folder of the cache; by default JSPLIT_CACHE_DIR or ~/.cache/jsplit.
        progress: whether to show a progress bar on standard error while decoding.

    Returns:
        Images [N, H, W, channels] uint8 (the digits, which come with jsplit: float32
        in [0, 1]), or texts [N, 2, S] int32: token ids (0 =
        padding) over segment ids. `meta` tells the version (`tfds`), how many examples
        were left out (`num_unlabelled`), how the inputs were made, and which of the
        labelled examples they are (`rows`, first and one after the last).

    Raises:
        JsplitError: if the data set is unknown, not prepared, damaged or not readable
            without TensorFlow; the split is unknown or empty; a tokenizer is missing.
    """
    base, window = parse_split(split)
    data = find(name, data_dir)
    data.check_split(base)
    if data.entry.shipped:
        inputs, labels = _shipped(data, base, image_size)
        meta = {}
    else:
        how, encode = _encoding(data, tokenizer, max_length, image_size)
        inputs, labels, facts = _decoded(data, base, how, encode, cache_dir, progress)
        meta = {"tfds": data.full_name, **facts, **how}
    rows = window(len(labels))
    if rows.start >= rows.stop:
        raise JsplitError(f"split {split} of {name} is empty: {len(labels)} in {base}")
    meta["rows"] = [rows.start, rows.stop]
    return Dataset(inputs[rows], labels[rows], name, split, data.num_classes, meta)


def _shipped(
    data: Prepared, base: str, image_size: int | tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what comes with jsplit, which is not encoded and not resized."""
    stored = (data.image_shape or ())[:2]
    if images.target_size(data.entry.name, stored, image_size) != stored:
        raise JsplitError(
            f"image_size must be {stored} for {data.entry.name}, which is not resized, "
            f"got {checks.shown(image_size)}"
        )
    return read_digits(base)


def _encoding(
    data: Prepared,
    tokenizer: Tokenizer | _Path | None,
    max_length: int,
    image_size: int | tuple[int, int] | None,
) -> tuple[dict[str, Any], _Encode]:
    """Returns what decides the inputs, for the cache, and the function to them."""
    entry = data.entry
    if data.image_shape is None:
        encoder = _tokenizer(entry.name, tokenizer)
        max_length = checks.integer("max_length", max_length, 4)

        def encode_texts(records: _Records) -> np.ndarray:
            columns = [
                [record[feature].decode() for record in records]
                for feature in entry.features
            ]
            return encoder.encode(*columns, max_length=max_length)

        return {"max_length": max_length, "vocab": encoder.fingerprint}, encode_texts
    *stored, channels = data.image_shape
    height, width = images.target_size(entry.name, stored, image_size)

    def decode_images(records: _Records) -> np.ndarray:
        (feature,) = entry.features
        encoded = [record[feature] for record in records]
        return images.decode(encoded, (height, width, channels))

    return {"image_size": [height, width]}, decode_images


def _decoded(
    data: Prepared,
    base: str,
    how: Mapping[str, Any],
    encode: _Encode,
    cache_dir: _Path | None,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Returns inputs, labels and facts of a split, from the cache if they are there."""
    entry = data.entry

    def batches(facts: dict[str, Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        facts["num_unlabelled"] = 0
        what = f"decoding {entry.name}"
        for records in read_batches(data, base, what, progress=progress):
            labelled = [record for record in records if record[entry.label] >= 0]
            facts["num_unlabelled"] += len(records) - len(labelled)
            if labelled:
                labels = np.array([x[entry.label] for x in labelled], np.int32)
                yield encode(labelled), labels
        number = data.counts[base]
        if facts["num_unlabelled"] == number:
            raise JsplitError(
                f"split {base} of {entry.name} has no labels, all {number} are -1; "
                f"use one of {', '.join(entry.splits)}"
            )

    key = {
        "name": entry.name,
        "tfds": data.full_name,
        "split": base,
        "content": data.fingerprint(base),
        **how,
    }
    return cached(key, batches, cache_dir)


def load_texts(
    name: str, split: str, data_dir: _Path | None = None, *, progress: bool = True
) -> list[str]:
    """Returns all texts of a split, first and second ones, say for a vocabulary.

    Args:
        name: A data set of texts.
        split: the name of a split, without a slice.
        data_dir: see `load`.
        progress: whether to show a progress bar.

    Raises:
        JsplitError: if `load` would raise it, or if the data set holds images.
    """
    data = find(name, data_dir)
    if data.entry.kind != "texts":
        raise JsplitError(f"name must be a data set of texts, got {name!r} of images")
    return [
        record[feature].decode()
        for records in read_batches(data, split, f"reading {name}", progress=progress)
        for record in records
        for feature in data.entry.features
    ]


def parse_split(split: str) -> tuple[str, Any]:
    """Returns the name of a split and a function from its length to a slice.

    Example:
        >>> from jsplit.data.loading import parse_split
        >>> name, window = parse_split("train[90%:]")
        >>> name, window(67349)
        ('train', slice(60614, 67349, None))
    """
    found = re.fullmatch(r"(\w+)(?:\[(-?\d{1,18}%?)?:(-?\d{1,18}%?)?\])?", str(split))
    if not found:
        raise JsplitError(
            'split must be a name, or a slice such as "train[:90%]" or "test[:1000]", '
            f"got {checks.shown(split)}"
        )
    name, low, high = found.groups()

    def bound(text: str | None, default: int, length: int) -> int:
        if text is None:
            return default
        number = int(text.rstrip("%"))
        if text.endswith("%"):
            if abs(number) > 100:
                raise JsplitError(f"split must stay below 100%, got {split!r}")
            number = round(number * length / 100)
        number += length if text.startswith("-") else 0
        return min(max(number, 0), length)

    def window(length: int) -> slice:
        return slice(bound(low, 0, length), bound(high, length, length))

    return name, window


def _tokenizer(name: str, given: Tokenizer | _Path | None) -> Tokenizer:
    if given is None:
        raise JsplitError(
            f"tokenizer: {name} holds texts; give Tokenizer.from_vocab(PATH) or the "
            "path of a vocab.txt"
        )
    return given if isinstance(given, Tokenizer) else Tokenizer.from_vocab(given)
