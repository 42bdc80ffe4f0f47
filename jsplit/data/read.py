"""Data sets on disk in the layout of TensorFlow Datasets, read without TensorFlow.

Here: finding a prepared data set, checking that it is whole, reading its records. Not
here: turning records into arrays (`loading`), writing them (`prepare`).

TFDS keeps NAME[/CONFIG]/VERSION/, with dataset_info.json, features.json and a few
shards. Only shards in ArrayRecord can be read without TensorFlow.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jsplit import checks
from jsplit.data import digits
from jsplit.data.catalogue import Entry, entry_of, folder_entry
from jsplit.extras import naming
from jsplit.progress import watched
from jsplit.reading import json_of
from jsplit.types import JsplitError

INFO, FEATURES = "dataset_info.json", "features.json"
FORMAT = "array_record"
OWN = "tensorflow_datasets.core.features."  # whose classes are never imported anew
CLASS_KEYS = ("pythonClassName", "python_class_name", "type")  # protobuf takes both
_BATCH = 512
_EDGE = 1 << 16  # bytes of a shard's beginning and end that go into a fingerprint


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A data set on disk.

    Attributes:
        entry: what it is.
        folder: its version folder, for example DATA_DIR/mnist/3.0.1.
        counts: examples of each split, as dataset_info.json tells.
        shards: files of each split.
        num_classes: C.
        image_shape: height, width and channels, None where images differ; None for
            texts.
    """

    entry: Entry
    folder: pathlib.Path
    counts: Mapping[str, int]
    shards: Mapping[str, Sequence[pathlib.Path]]
    num_classes: int
    image_shape: tuple[int | None, int | None, int] | None

    @property
    def full_name(self) -> str:
        """Name and version as TFDS writes them, for example "mnist/3.0.1"."""
        return f"{self.entry.tfds}/{self.folder.name}"

    def check_split(self, split: str) -> None:
        """Raises if there is no such split, or one of its files is missing."""
        checks.choice(f"split of {self.entry.name}", split, self.counts)
        for path in self.shards[split]:
            if not path.is_file():
                raise JsplitError(f"{self.full_name}: {path} is missing")

    def fingerprint(self, split: str) -> str:
        """Returns a hash that tells this content from any other under the same name.

        It covers dataset_info.json and, of each shard, its size and both ends, where
        ArrayRecord keeps its index; so it costs next to nothing.
        """
        digest = hashlib.sha256((self.folder / INFO).read_bytes())
        for path in self.shards[split]:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with path.open("rb") as file:
                digest.update(file.read(_EDGE))
                file.seek(max(0, size - _EDGE))
                digest.update(file.read(_EDGE))
        return digest.hexdigest()


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Returns the folder of all data sets.

    That is `data_dir`, or else the environment variable JSPLIT_DATA_DIR, or else
    TFDS_DATA_DIR, or else ~/tensorflow_datasets, where TFDS itself writes.
    """
    given = data_dir or os.environ.get("JSPLIT_DATA_DIR")
    given = given or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return checks.path("data_dir", given).expanduser()


def find(name: str, data_dir: str | os.PathLike[str] | None = None) -> Prepared:
    """Finds a data set and reads its description.

    Args:
        name: A name of the catalogue, or of images of your own that were prepared.
        data_dir: see `data_folder`.

    Returns:
        The highest version that is there.

    Raises:
        JsplitError: if it is unknown, not prepared, or not in ArrayRecord, or its
            description cannot be read.
    """
    top = data_folder(data_dir)
    try:
        entry = entry_of(name)
    except JsplitError:
        own = isinstance(name, str) and name.isidentifier()
        if not own or not versions(top / name):
            raise
        entry = folder_entry(name)
    if entry.shipped:
        return _shipped(entry)
    found = versions(top / entry.tfds)
    if not found:
        raise JsplitError(
            f"{name} is not prepared: no VERSION/{INFO} in {top / entry.tfds}; run "
            f"`jsplit data prepare {name} --source FOLDER`, or give the folder of your "
            "data sets as data_dir or JSPLIT_DATA_DIR"
        )
    return _described(entry, found[-1])


def _shipped(entry: Entry) -> Prepared:
    return Prepared(
        entry,
        digits.PATH.parent,
        digits.COUNTS,
        {split: [digits.PATH] for split in entry.splits},
        len(entry.classes),
        entry.image_shape,
    )


def _described(entry: Entry, folder: pathlib.Path) -> Prepared:
    try:
        info = json_of(folder / INFO)
        _check_number(folder, info["splits"])
        counts = {x["name"]: sum(map(int, x["shardLengths"])) for x in info["splits"]}
        shards = {x["name"]: _shards(folder, info["name"], x) for x in info["splits"]}
        file_format = info.get("fileFormat", "tfrecord")  # the only one of old times
    except JsplitError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JsplitError(f"{folder / INFO} cannot be read: {error!r}") from None
    if file_format != FORMAT:
        raise JsplitError(
            f"{entry.name} in {folder} is written as {file_format}, which needs "
            f"TensorFlow; jsplit reads {FORMAT}: run `jsplit data prepare {entry.name} "
            "--source FOLDER` into another folder"
        )
    features = _features(folder)
    missing = [x for x in (*entry.features, entry.label) if x not in features]
    if missing:
        raise JsplitError(
            f"{entry.name} in {folder} must have features {', '.join(entry.features)} "
            f"and {entry.label}, got {', '.join(features)}"
        )
    try:
        num_classes = int(features[entry.label]["classLabel"]["numClasses"])
        image_shape = None
        if entry.kind == "images":
            shape = features[entry.features[0]]["image"]["shape"]["dimensions"]
            height, width, channels = (int(x) if int(x) > 0 else None for x in shape)
            image_shape = height, width, channels or 3
    except (KeyError, TypeError, ValueError) as error:
        raise JsplitError(f"{folder / FEATURES} cannot be read: {error!r}") from None
    if entry.classes and num_classes != len(entry.classes):
        raise JsplitError(
            f"{entry.name} in {folder} must have {len(entry.classes)} classes, "
            f"got {num_classes}"
        )
    return Prepared(entry, folder, counts, shards, num_classes, image_shape)


def _features(folder: pathlib.Path) -> dict[str, Any]:
    """Returns what features.json says, by name of the feature."""
    try:
        described = json_of(folder / FEATURES)
        _check_classes(folder, described)
        return dict(described["featuresDict"]["features"])
    except JsplitError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise JsplitError(f"{folder / FEATURES} cannot be read: {error!r}") from None


def _check_number(folder: pathlib.Path, splits: Sequence[Mapping[str, Any]]) -> None:
    """Raises if there are fewer files than shards, before each is looked for."""
    shards = sum(len(split["shardLengths"]) for split in splits)
    files = sum(1 for _ in folder.iterdir())
    if shards > files:
        raise JsplitError(
            f"{folder / INFO} promises {shards:,} files of records, and only {files} "
            "are there; prepare the data set again"
        )


def _check_classes(folder: pathlib.Path, described: Any) -> None:
    """Raises if TFDS would import a module to make a feature: data run no code."""
    if isinstance(described, Mapping):
        for key in CLASS_KEYS:
            name = described.get(key)
            if isinstance(name, str) and "." in name and not name.startswith(OWN):
                raise JsplitError(
                    f"{folder / FEATURES} asks for the class {checks.shown(name)}; "
                    f"features must be of {OWN.rstrip('.')}"
                )
        described = described.values()
    if isinstance(described, Iterable) and not isinstance(described, str):
        for one in described:
            _check_classes(folder, one)


def versions(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the prepared versions in a folder, the highest last."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name) and (path / INFO).is_file()
    ]
    return sorted(found, key=lambda path: [int(part) for part in path.name.split(".")])


def open_split(data: Prepared, split: str) -> Sequence[Mapping[str, Any]]:
    """Opens one split, checked to hold as many records as it promises.

    Args:
        data: A data set.
        split: the name of a split, without a slice.

    Returns:
        Records by position; texts and images as bytes, the latter still encoded.

    Raises:
        JsplitError: if there is no such split, a shard is missing or broken, or the
            number of records is not that of dataset_info.json.
    """
    data.check_split(split)
    module = _array_record()
    stored = 0
    for path in data.shards[split]:
        try:
            reader = module.ArrayRecordReader(str(path))
            stored += reader.num_records()
            reader.close()
        except (RuntimeError, ValueError, OSError) as error:
            raise JsplitError(f"{path} is no whole ArrayRecord file: {error}") from None
    promised = data.counts[split]
    if stored != promised or not stored:
        raise JsplitError(
            f"{data.full_name} split {split} holds {stored} records, but {INFO} "
            f"promises {promised}; delete {data.folder} and prepare it again"
        )
    with naming("reading prepared data"):
        import tensorflow_datasets as tfds

    # Images stay encoded: TFDS would decode them by whatever is installed.
    encoded = {
        name: tfds.decode.SkipDecoding()
        for name, feature in _features(data.folder).items()
        if "image" in feature
    }
    builder: Any = tfds.builder_from_directory(data.folder)
    return builder.as_data_source(split, decoders=encoded)


def read_batches(
    data: Prepared, split: str, what: str, *, progress: bool
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yields all records of a split, some hundred at a time.

    Args:
        data: A data set.
        split: the name of a split, without a slice.
        what: what to write beside the progress bar.
        progress: whether to show one.

    Raises:
        JsplitError: if `open_split` raises it or a record cannot be read.
    """
    source: Any = open_split(data, split)
    for start in watched(range(0, len(source), _BATCH), what, show=progress):
        rows = range(start, min(start + _BATCH, len(source)))
        try:
            records = source.__getitems__(rows)
        except Exception as error:  # array_record and protobuf have many kinds
            raise JsplitError(
                f"{data.full_name} split {split}: records {rows.start} to "
                f"{rows.stop - 1} cannot be read ({error!r}); delete {data.folder} and "
                "prepare it again"
            ) from error
        yield records


def _shards(
    folder: pathlib.Path, name: str, split: Mapping[str, Any]
) -> list[pathlib.Path]:
    number = len(split["shardLengths"])
    return [
        folder / f"{name}-{split['name']}.{FORMAT}-{i:05d}-of-{number:05d}"
        for i in range(number)
    ]


def _array_record() -> Any:
    if sys.platform == "win32":
        raise JsplitError(
            "reading prepared data needs array_record, which has wheels for Linux and "
            "macOS only"
        )
    with naming("reading prepared data"):
        from array_record.python import array_record_module  # type: ignore[attr-defined]
    return array_record_module
