"""`jsplit data`: list, check and prepare data sets, learn a vocabulary."""

import dataclasses
import pathlib
from typing import Annotated, Any, ClassVar

import tyro

from jsplit.commands.common import AsJson, Quiet, print_json

DataDir = Annotated[
    pathlib.Path | None,
    tyro.conf.arg(
        help="folder of all data sets; JSPLIT_DATA_DIR, TFDS_DATA_DIR or "
        "~/tensorflow_datasets by default."
    ),
]
Name = Annotated[
    tyro.conf.Positional[str], tyro.conf.arg(help="a data set, see `jsplit data list`.")
]


@dataclasses.dataclass(frozen=True)
class List:
    """List the known data sets, and where each is prepared."""

    data_dir: DataDir = None
    as_json: AsJson = False

    def run(self) -> None:
        """Prints the list."""
        from jsplit.data.inspect import listing
        from jsplit.data.read import data_folder

        rows = listing(self.data_dir)
        if self.as_json:
            print_json({"data_dir": str(data_folder(self.data_dir)), "rows": rows})
            return
        import rich
        from rich.table import Table

        table = Table("name", "what it is", f"prepared in {data_folder(self.data_dir)}")
        for row in rows:
            splits = ", ".join(f"{x} {n:,}" for x, n in row["splits"].items())
            table.add_row(row["name"], row["about"], row["problem"] or splits or "-")
        rich.print(table)


@dataclasses.dataclass(frozen=True)
class Check:
    """Read every record of a data set: counts, labels, decoding, checksums."""

    name: Name
    data_dir: DataDir = None
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Prints what was found, or ends in an error."""
        from jsplit.data.inspect import check

        rows = check(self.name, self.data_dir, progress=not self.quiet)
        if self.as_json:
            print_json({"name": self.name, "splits": rows})
            return
        import rich
        from rich.table import Table

        table = Table("split", "examples", "no label", "labels", "decoded", "sha256")
        for row in rows:
            labels = ", ".join(f"{x} {n:,}" for x, n in row["labels"].items())
            counts = [f"{row[x]:,}" for x in ("examples", "unlabelled")]
            decoded = f"{row['decoded']:,}"
            table.add_row(row["split"], *counts, labels, decoded, row["sha256"][:12])
        rich.print(table)


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Write a data set from its source files, without TensorFlow.

    The files are those that the authors distribute, unpacked: CIFAR-10 (binary or for
    Python), MNIST (IDX), CIFAR-10-C (npy), folders of images (Caltech), GLUE and
    SciTail (tsv), SNLI (jsonl or txt), aclImdb, Yelp (csv).
    """

    name: Name
    source: pathlib.Path | None = None
    """folder of the source files; without it TFDS downloads, by `jsplit[prepare]`."""
    image_folder: bool = False
    """the source holds images of your own, one folder per class; any new name."""
    data_dir: DataDir = None
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Writes the data set and prints where it is."""
        from jsplit.data.write import prepare

        data = prepare(
            self.name,
            self.source,
            self.data_dir,
            image_folder=self.image_folder,
            progress=not self.quiet,
        )
        if self.as_json:
            about: dict[str, Any] = {"name": self.name, "prepared": str(data.folder)}
            print_json(about | {"splits": dict(data.counts)})
            return
        splits = ", ".join(f"{x} {n:,}" for x, n in data.counts.items())
        print(f"{self.name} in {data.folder}: {splits}")


@dataclasses.dataclass(frozen=True)
class Vocab:
    """Learn a WordPiece vocabulary from the texts of a data set."""

    name: Name
    split: str = "train"
    """split to learn from."""
    size: int = 8000
    """tokens, special ones included."""
    out: pathlib.Path = pathlib.Path("vocab.txt")
    """file to write."""
    cased: bool = False
    """keep upper case and accents."""
    data_dir: DataDir = None
    quiet: Quiet = False

    def run(self) -> None:
        """Writes the vocabulary."""
        from jsplit.data import load_texts, train_wordpiece

        texts = load_texts(
            self.name, self.split, self.data_dir, progress=not self.quiet
        )
        made = train_wordpiece(texts, self.size, self.out, lowercase=not self.cased)
        print(f"{len(made):,} tokens in {self.out}")


@dataclasses.dataclass(frozen=True)
class Data:
    """List, check and prepare data sets; learn a vocabulary."""

    ACTIONS: ClassVar[dict[str, type]] = {
        "list": List,
        "check": Check,
        "prepare": Prepare,
        "vocab": Vocab,
    }
