"""Which data sets are prepared, and whether they are whole.

Here: reports as plain rows, for `jsplit data list` and `jsplit data check`. Not here:
how they are shown (`commands.data`).
"""

import hashlib
import os
from typing import Any

from jsplit import checks
from jsplit.data import images
from jsplit.data.catalogue import CATALOGUE, CIFAR10_C
from jsplit.data.read import data_folder, find, read_batches, versions
from jsplit.types import JsplitError


def listing(data_dir: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Returns one row per data set: the catalogue, and what else is prepared.

    Args:
        data_dir: see `load`.

    Returns:
        rows with name, tfds, kind, about, prepared (version folder or None), splits
        (examples by split) and problem (why it cannot be used, or None).
    """
    top = data_folder(data_dir)
    own = [x.name for x in sorted(top.iterdir()) if versions(x)] if top.is_dir() else []
    taken = {entry.tfds for entry in CATALOGUE.values()}
    distorted = sorted(
        f"{CIFAR10_C}/{path.name}"
        for path in top.glob("cifar10_corrupted/*")
        if versions(path)
    )
    rows = []
    for name in [*CATALOGUE, *distorted, *(x for x in own if x not in taken)]:
        entry = CATALOGUE.get(name)
        row: dict[str, Any] = {
            "name": name,
            "tfds": entry.tfds if entry else name,
            "kind": entry.kind if entry else "images",
            "about": entry.about if entry else "",
            "prepared": None,
            "splits": {},
            "problem": None,
        }
        if entry is None or entry.shipped or versions(top / entry.tfds):
            try:
                data = find(name, top)
            except JsplitError as error:
                row["problem"] = str(error)
            else:
                about = {"tfds": data.entry.tfds, "about": data.entry.about}
                row |= about | {"prepared": str(data.folder), "splits": data.counts}
        rows.append(row)
    return rows


def check(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    num_images: int = 200,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Reads every record of a data set and counts labels and decoded examples.

    Args:
        name: a data set, see `load`.
        data_dir: see `load`.
        num_images: images to decode of each batch of records, at most; >= 1.
        progress: whether to show a progress bar.

    Returns:
        one row per split: split, examples, unlabelled (label -1), labels (count by
        class), decoded (texts or images that were decoded) and sha256 of its files.

    Raises:
        JsplitError: if the data set cannot be read, see `load`, or if a label or a
            text is not what it should be.
    """
    checks.integer("num_images", num_images, 1)
    data = find(name, data_dir)
    if data.entry.shipped:
        raise JsplitError(f"{name} comes with jsplit: there is nothing to check")
    rows = []
    for split, promised in data.counts.items():
        labels = dict.fromkeys(range(-1, data.num_classes), 0)
        decoded = 0
        what = f"checking {split}"
        for records in read_batches(data, split, what, progress=progress):
            for record in records:
                label = record[data.entry.label]
                if label not in labels:
                    raise JsplitError(
                        f"{data.full_name} split {split}: labels must be from 0 to "
                        f"{data.num_classes - 1}, or -1, got {label}"
                    )
                labels[label] += 1
            decoded += _decode(data, split, records, num_images)
        digest = hashlib.sha256()
        for path in data.shards[split]:
            digest.update(path.read_bytes())
        unlabelled = labels.pop(-1)
        names = data.entry.classes or tuple(map(str, labels))
        rows.append(
            {
                "split": split,
                "examples": promised,
                "unlabelled": unlabelled,
                "labels": dict(zip(names, labels.values(), strict=True)),
                "decoded": decoded,
                "sha256": digest.hexdigest(),
            }
        )
    return rows


def _decode(data: Any, split: str, records: Any, num_images: int) -> int:
    """Decodes texts, and some of the images; returns how many."""
    if data.image_shape is not None:
        (feature,) = data.entry.features
        height, width, channels = data.image_shape
        some = [record[feature] for record in records[:num_images]]
        images.decode(some, (height or 32, width or 32, channels))
        return len(some)
    for record in records:
        for feature in data.entry.features:
            try:
                record[feature].decode()
            except UnicodeDecodeError as error:
                raise JsplitError(
                    f"{data.full_name} split {split}: {feature} is no UTF-8: {error}"
                ) from None
    return len(records)
