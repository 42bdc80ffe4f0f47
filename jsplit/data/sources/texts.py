"""Readers of texts: GLUE, SNLI, SciTail, IMDb, Yelp."""

import csv
import json
import pathlib
from collections.abc import Iterator

from jsplit.data.catalogue import Entry
from jsplit.data.sources.common import Examples, Splits, locate, some
from jsplit.types import JsplitError

UNLABELLED = -1


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
GLUE_COLUMNS = {
    "sst2": ("sentence", "label"),
    "rte": ("sentence1", "sentence2", "label"),
    "mrpc": ("#1 String", "#2 String", "Quality"),
    "qqp": ("question1", "question2", "is_duplicate"),
    "mnli": ("sentence1", "sentence2", "gold_label"),
}


def glue(entry: Entry, folder: pathlib.Path) -> Splits:
    """train.tsv, dev.tsv and test.tsv; two of the latter for MNLI."""
    files = _MNLI_FILES if entry.name == "mnli" else _GLUE_FILES
    paths = {split: locate(folder, f"{file}.tsv") for split, file in files.items()}
    *columns, label_column = GLUE_COLUMNS[entry.name]

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
    return some(entry, folder, found, "train.tsv")


def snli(entry: Entry, folder: pathlib.Path) -> Splits:
    """snli_1.0_train.jsonl or .txt, likewise dev and test; "-" is no label."""

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

    names = {
        x: (f"snli_1.0_{f}.jsonl", f"snli_1.0_{f}.txt") for x, f in _GLUE_FILES.items()
    }
    paths = {split: locate(folder, *both) for split, both in names.items()}
    found = {x: lambda path=path: examples(path) for x, path in paths.items() if path}
    return some(entry, folder, found, *names["train"])


def scitail(entry: Entry, folder: pathlib.Path) -> Splits:
    """tsv_format/scitail_1.0_train.tsv, likewise dev and test, without a header."""
    names = (*entry.features, entry.label)

    def examples(path: pathlib.Path) -> Examples:
        with path.open(encoding="utf-8", newline="") as file:
            for index, row in enumerate(csv.reader(file, delimiter="\t")):
                yield index, dict(zip(names, row, strict=True))

    files = {x: f"scitail_1.0_{file}.tsv" for x, file in _GLUE_FILES.items()}
    paths = {split: locate(folder, file) for split, file in files.items()}
    found = {x: lambda path=path: examples(path) for x, path in paths.items() if path}
    return some(entry, folder, found, files["train"])


def imdb(entry: Entry, folder: pathlib.Path) -> Splits:
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


def yelp(entry: Entry, folder: pathlib.Path) -> Splits:
    """train.csv and test.csv, one quoted class and one quoted review in a line."""

    def examples(path: pathlib.Path) -> Examples:
        with path.open(encoding="utf-8", newline="\n") as file:
            for index, line in enumerate(file):
                # As TFDS reads it: escapes inside a review stay as they are.
                line = line.rstrip("\r\n")
                yield index, {"text": line[5:-1].strip(), "label": line[1:2]}

    paths = {split: locate(folder, f"{split}.csv") for split in entry.splits}
    found = {x: lambda path=path: examples(path) for x, path in paths.items() if path}
    return some(entry, folder, found, "train.csv")
