"""Readers of folders with one image per file: Caltech, and images of your own."""

import pathlib

import numpy as np

from jsplit.data.catalogue import Entry
from jsplit.data.images import checked
from jsplit.data.sources.common import Examples, Splits
from jsplit.types import JsplitError

_IMAGE_FILES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
# Images of each class that go into training, the others being the test set, where the
# authors give no split. 30 is what TFDS takes of Caltech-101, with another draw.
_TRAIN_PER_CLASS = {"caltech101": 30, "caltech256": 60}


def class_folders(entry: Entry, folder: pathlib.Path) -> dict[str, str]:
    """Returns the subfolder of each class, or that in "train"; classes in order."""
    inside = _split_folders(folder)
    top = inside.get("train") or next(iter(inside.values()), _top(folder))
    names = [path.name for path in top.iterdir() if _has_images(path)]
    # TFDS calls the classes of Caltech-101 in lower case, and orders them so.
    lower = entry.name == "caltech101"
    return dict(sorted((name.lower() if lower else name, name) for name in names))


def _top(folder: pathlib.Path) -> pathlib.Path:
    """Returns where the classes are: the folder, or one just below it."""
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    if any(map(_has_images, below)):
        return folder
    return next((x for x in below if any(map(_has_images, x.iterdir()))), folder)


def _split_folders(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    named = {x: folder / x for x in ("train", "validation", "test")}
    return {name: path for name, path in named.items() if path.is_dir()}


def _has_images(path: pathlib.Path) -> bool:
    return path.is_dir() and any(_images(path))


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in _IMAGE_FILES)
    return sorted(path for path in found if path.is_file())  # a pipe never ends


def image_folder(entry: Entry, folder: pathlib.Path) -> Splits:
    """FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/*.jpg and so on for other splits."""
    folders = _split_folders(folder) or {"train": _top(folder)}
    classes = class_folders(entry, folder)
    if len(classes) < 2:
        raise JsplitError(
            f"source of {entry.name} must hold at least two folders of images, one per "
            f"class, got {len(classes)} in {folder}"
        )
    for split, top in folders.items():
        found = {path.name for path in top.iterdir() if _has_images(path)}
        if odd := sorted(found ^ set(classes.values())):
            raise JsplitError(
                f"source of {entry.name} must hold images of the same classes in "
                f"every split; {split} and the others differ in {', '.join(odd[:5])}"
            )
    per_class = _TRAIN_PER_CLASS.get(entry.name)

    def examples(split: str) -> Examples:
        for label, name in classes.items():
            top = folders.get(split) or next(iter(folders.values()))
            paths = _images(top / name)
            if per_class and len(folders) == 1:
                paths = _drawn(paths, per_class)[split]
            for path in paths:
                yield (
                    f"{name}/{path.name}",
                    {
                        "image": checked(path.read_bytes(), str(path)),
                        "label": label,
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
