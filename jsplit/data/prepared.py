"""Data sets on disk in the layout of TensorFlow Datasets, read without TensorFlow.

Here: finding a prepared data set, checking that it is whole, reading its records. Not
here: turning records into arrays (`loading`), writing them (`prepare`).

TFDS keeps NAME[/CONFIG]/VERSION/, with dataset_info.json, features.json and a few
shards. Only shards in ArrayRecord can be read without TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsplit import checks
from jsplit.data.catalogue import Entry
from jsplit.types import JsplitError

INFO = "dataset_info.json"
FORMAT = "array_record"
_EDGE = 1 << 16  # bytes of a shard's beginning and end that go into a fingerprint


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A data set on disk.

    Attributes:
        entry: What it is.
        folder: Its version folder, for example DATA_DIR/mnist/3.0.1.
        counts: Examples of each split, as dataset_info.json tells.
        shards: Files of each split.
    """

    entry: Entry
    folder: pathlib.Path
    counts: Mapping[str, int]
    shards: Mapping[str, Sequence[pathlib.Path]]

    @property
    def full_name(self) -> str:
        """Name and version as TFDS writes them, for example "mnist/3.0.1"."""
        return f"{self.entry.tfds}/{self.folder.name}"

    def check_split(self, split: str) -> None:
        """Raises if there is no such split."""
        checks.choice(f"split of {self.entry.name}", split, self.counts)

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
    return pathlib.Path(given).expanduser()


def find(entry: Entry, data_dir: str | os.PathLike[str] | None = None) -> Prepared:
    """Finds a data set and reads its description.

    Args:
        entry: Which one.
        data_dir: See `data_folder`.

    Returns:
        The highest version that is there.

    Raises:
        JsplitError: It is not prepared, or not in ArrayRecord, or its description
            cannot be read.
    """
    above = data_folder(data_dir) / entry.tfds
    found = versions(above)
    if not found:
        raise JsplitError(
            f"{entry.name} is not prepared: no VERSION/{INFO} in {above}; run "
            f"`jsplit data prepare {entry.name} --source FOLDER`, or give the folder "
            "of your data sets as data_dir or JSPLIT_DATA_DIR"
        )
    folder = found[-1]
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        counts = {
            split["name"]: sum(int(length) for length in split["shardLengths"])
            for split in info["splits"]
        }
        shard_counts = {x["name"]: len(x["shardLengths"]) for x in info["splits"]}
        file_format = info.get("fileFormat", "tfrecord")  # the only one of old times
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise JsplitError(f"{folder / INFO} cannot be read ({reason})") from None
    if file_format != FORMAT:
        raise JsplitError(
            f"{entry.name} in {folder} is written as {file_format}, which needs "
            f"TensorFlow; jsplit reads {FORMAT}: run `jsplit data prepare {entry.name} "
            "--source FOLDER`, or tfds build --file_format=array_record"
        )
    shards = {
        name: _shards(entry, folder, name, number)
        for name, number in shard_counts.items()
    }
    return Prepared(entry, folder, counts, shards)


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
        split: The name of a split, without a slice.

    Returns:
        Records by position; texts and images as bytes, the latter still encoded.

    Raises:
        JsplitError: No such split, a shard is missing or broken, or the number of
            records is not that of dataset_info.json.
    """
    data.check_split(split)
    module = _array_record()
    stored = 0
    for path in data.shards[split]:
        if not path.is_file():
            raise JsplitError(f"{data.full_name}: {path} is missing")
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
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(data.folder)
    features: Any = builder.info.features or {}
    wanted = (*data.entry.features, data.entry.label)
    missing = [name for name in wanted if name not in features]
    if missing:
        raise JsplitError(
            f"{data.full_name} must have features {', '.join(wanted)}; "
            f"{', '.join(missing)} missing from {data.folder / 'features.json'}"
        )
    encoded = {
        name: tfds.decode.SkipDecoding()
        for name, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    }
    return builder.as_data_source(split, decoders=encoded)  # type: ignore[return-value]


def image_shape(data: Prepared) -> tuple[int | None, int | None, int]:
    """Returns height, width (None = they differ) and channels of the images."""
    import tensorflow_datasets as tfds

    features: Any = tfds.builder_from_directory(data.folder).info.features or {}
    height, width, channels = features[data.entry.features[0]].shape
    return height, width, channels


def _shards(
    entry: Entry, folder: pathlib.Path, split: str, number: int
) -> list[pathlib.Path]:
    name = entry.tfds.split("/")[0]
    return [
        folder / f"{name}-{split}.{FORMAT}-{i:05d}-of-{number:05d}"
        for i in range(number)
    ]


def _array_record() -> Any:
    try:
        from array_record.python import array_record_module  # type: ignore[attr-defined]
    except ImportError as error:
        raise JsplitError(
            "reading prepared data needs array_record, which has wheels for Linux and "
            f"macOS: pip install array_record ({error})"
        ) from None
    return array_record_module
