"""Writing data sets in the layout of TensorFlow Datasets, without TensorFlow.

Here: from source files on disk to ArrayRecord shards with the same names, features and
keys as the builders of TFDS. Not here: reading source files (`sources`).

Records go through a small builder of our own: the builders of TFDS read their sources
by TensorFlow. Downloads are left to TFDS, which knows addresses and checksums.
"""

import contextlib
import importlib.util
import io
import logging
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from jsplit import checks
from jsplit.data.catalogue import CIFAR10_C, Entry, entry_of, folder_entry
from jsplit.data.read import FORMAT, Prepared, data_folder, find, versions
from jsplit.data.sources import reader_of
from jsplit.data.sources.common import Splits
from jsplit.data.sources.folders import class_folders
from jsplit.extras import naming
from jsplit.folders.lock import locked
from jsplit.types import JsplitError
from jsplit.writing import make_folder, temporary_folder


def prepare(
    name: str,
    source: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    image_folder: bool = False,
    progress: bool = True,
) -> Prepared:
    """Writes a data set so that `load` and TFDS can read it.

    Args:
        name: a name of the catalogue; with `image_folder`, any other name.
        source: folder of the files as their authors distribute them, unpacked. None
            lets TFDS download them, which needs TensorFlow and a network.
        data_dir: folder of all data sets, see `load`.
        image_folder: whether `source` holds images of your own: one folder per class,
            or train/, validation/ and test/ with such folders.
        progress: whether TFDS may show its progress bars, on a terminal.

    Returns:
        the data set.

    Raises:
        JsplitError: if the name is unknown or taken, if the data set is prepared
            already, or if the source files are not there or not what they should be.
    """
    entry = _own_entry(name, source) if image_folder else entry_of(name)
    if entry.shipped:
        raise JsplitError(f"{name} comes with jsplit: there is nothing to prepare")
    folder = data_folder(data_dir)
    there = versions(folder / entry.tfds)
    if there:
        raise JsplitError(
            f"{name} is prepared already, in {there[-1]}; delete that to prepare again"
        )
    if source is None:
        _download(entry, folder, progress)
        return find(name, folder)
    path = pathlib.Path(source).expanduser()
    if not path.is_dir():
        home = f" (from {entry.home})" if entry.home else ""
        raise JsplitError(
            f"source must be a folder of unpacked files, got {path}{home}"
        )
    splits = reader_of(entry)(entry, path)
    classes = entry.classes or tuple(class_folders(entry, path))
    home = folder / entry.tfds
    make_folder(home, "data_dir")
    try:
        with locked(home, "data_dir"), temporary_folder(home, "prepare") as fresh:
            with _quiet(progress), _features_in_order():
                _builder(entry, classes, splits, fresh).download_and_prepare()
            (done,) = versions(fresh / entry.tfds)
            done.rename(home / done.name)
    except JsplitError:
        raise
    except OSError as error:
        what = error.filename or f"{path} or write into {folder}"
        reason = error.strerror or checks.shown(str(error), 200)
        raise JsplitError(f"cannot read {what}: {reason}") from None
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:  # of TFDS, pickles, csv, protobuf
        # Broken UTF-8, missing columns, splits without examples, unknown labels.
        raise JsplitError(
            f"source of {name}, {path}, is not what it should be: "
            f"{checks.shown(error, 300)}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            home.rmdir()  # where nothing came of it
    return find(name, folder)


def _own_entry(name: str, source: Any) -> Entry:
    try:
        entry_of(name)
    except JsplitError:
        if not (isinstance(name, str) and name.isidentifier()) or name == CIFAR10_C:
            raise JsplitError(
                "name must be letters, digits and underscores for images of your own, "
                f"got {checks.shown(name)}"
            ) from None
    else:
        raise JsplitError(f"name must not be one of the catalogue, got {name!r}")
    if source is None:
        raise JsplitError("source must be the folder of your images, got None")
    return folder_entry(name)


def _download(entry: Entry, folder: pathlib.Path, progress: bool) -> None:
    """Lets the builder of TFDS download and write; it checks what it downloads."""
    if importlib.util.find_spec("tensorflow") is None:
        raise JsplitError(
            f"source: without one, TFDS downloads {entry.name}, which needs "
            "TensorFlow: run `pip install 'jsplit[prepare]'`, or give --source FOLDER "
            f"with the unpacked files from {entry.home}"
        )
    import tensorflow_datasets as tfds
    import tensorflow_datasets.text

    try:
        with _quiet(progress):
            builder = tfds.builder(entry.tfds, data_dir=folder, file_format=FORMAT)
            builder.download_and_prepare()
    except Exception as error:  # of requests, TensorFlow, TFDS, the disk
        raise JsplitError(
            f"source: TFDS could not download and write {entry.name}; give --source "
            f"FOLDER with the unpacked files from {entry.home}. It said "
            f"{type(error).__name__}: {checks.shown(str(error), 300)}"
        ) from error


def _features(entry: Entry, classes: tuple[str, ...]) -> Any:
    """Returns the features that the builder of TFDS has."""
    import numpy as np
    import tensorflow_datasets as tfds

    features: dict[str, Any] = {"label": tfds.features.ClassLabel(names=list(classes))}
    if entry.kind == "texts":
        features |= {name: tfds.features.Text() for name in entry.features}
        if entry.tfds.startswith("glue/"):
            features["idx"] = np.int32
    else:
        features["image"] = tfds.features.Image(shape=entry.image_shape)
        if entry.image_shape is None:
            features["image/file_name"] = tfds.features.Text()
        if entry.name == "cifar10":
            features["id"] = tfds.features.Text()
    return tfds.features.FeaturesDict(features)


def _builder(
    entry: Entry, classes: tuple[str, ...], splits: Splits, folder: pathlib.Path
) -> Any:
    """Returns a builder of TFDS that writes the examples of `splits`."""
    import tensorflow_datasets as tfds

    family, _, config = entry.tfds.partition("/")
    version = tfds.core.Version(entry.version)

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = family
        VERSION = version
        BUILDER_CONFIGS = (
            [tfds.core.BuilderConfig(name=config, version=version)] if config else []
        )

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description=entry.about,
                features=_features(entry, classes),
                homepage=entry.home or None,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager  # nothing is downloaded
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split: str) -> Iterator[Any]:
            return splits[split]()

    return Builder(data_dir=folder, config=config or None, file_format=FORMAT)


@contextlib.contextmanager
def _features_in_order() -> Iterator[None]:
    """Lets TFDS write the features of an example in the order of their names.

    It writes them in that of a Python set, which differs from process to process, and
    with it the bytes, checksums and names in caches.
    """
    from tensorflow_datasets.core import example_serializer

    kind = example_serializer.ExampleSerializer
    usual = kind.serialize_example

    def serialize_example(self: Any, example: Any) -> bytes:
        return self.get_tf_example(example).SerializeToString(deterministic=True)

    kind.serialize_example = serialize_example
    try:
        yield
    finally:
        kind.serialize_example = usual


@contextlib.contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """Keeps what TFDS prints away from standard output; its bars are for a terminal.

    Nor does a download warn of each of its ten attempts per file.
    """
    with naming("preparing data"):
        import tensorflow_datasets as tfds

    progress = progress and sys.stderr.isatty()
    retries = logging.getLogger("urllib3")
    level = retries.level
    retries.setLevel(logging.ERROR)
    if not progress:
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(sys.stderr if progress else io.StringIO()):
            yield
    finally:
        retries.setLevel(level)
        if not progress:
            tfds.enable_progress_bar()
