"""Tiny source files of every data set, in the form in which their authors give them."""

import gzip
import json
import pickle

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def cifar10_binary(folder):
    """15 training images and 3 test images; returns pixels and label by id."""
    folder = folder / "cifar-10-batches-bin"
    folder.mkdir()
    content = {}
    files = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
    for split, names in files.items():
        index = 0
        for name in names:
            rows = RNG.integers(0, 256, (3, 3073), np.uint8)
            rows[:, 0] %= 10
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
            for row in rows:
                image = row[1:].reshape(3, 32, 32).transpose(1, 2, 0)
                content[f"{split}_{index:05d}"] = (image, row[0])
                index += 1
    return content


def cifar10_python(folder, content):
    """The same images as pickles."""
    folder = folder / "cifar-10-batches-py"
    folder.mkdir()
    for split, names in (
        ("train", [f"data_batch_{i}" for i in range(1, 6)]),
        ("test", ["test_batch"]),
    ):
        pairs = [pair for key, pair in content.items() if key.startswith(split)]
        for i, name in enumerate(names):
            chunk = pairs[3 * i : 3 * i + 3]
            batch = {
                b"data": np.stack([x.transpose(2, 0, 1).ravel() for x, _ in chunk]),
                b"labels": [int(label) for _, label in chunk],
            }
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def mnist(folder):
    """Nine and four images, one file compressed; returns pixels and labels by split."""
    content = {}
    for split, prefix, number in (("train", "train", 9), ("test", "t10k", 4)):
        images = RNG.integers(0, 256, (number, 28, 28), np.uint8)
        labels = (np.arange(number) % 10).astype(np.uint8)
        sizes = np.array([number, 28, 28], ">u4").tobytes()
        packed = gzip.compress(b"\0\0\x08\x03" + sizes + images.tobytes())
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(packed)
        plain = b"\0\0\x08\x01" + sizes[:4] + labels.tobytes()
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(plain)
        content[split] = images, labels
    return content


def cifar10_c(folder):
    """Two images in five severities; returns them."""
    images = RNG.integers(0, 256, (10, 32, 32, 3), np.uint8)
    np.save(folder / "glass_blur.npy", images)
    np.save(folder / "labels.npy", np.tile(np.array([4, 7], np.uint8), 5))
    return images


def images(folder, classes=("Cat", "dog"), number=3):
    """Folders of photographs of different sizes, each of one colour."""
    for i, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for j in range(number):
            colour = (40 * i + j, 200 - 40 * i, 10)
            image = Image.new("RGB", (20 + j, 30), colour)
            image.save(folder / name / f"{j:03d}.png")
    (folder / "notes.txt").write_text("no class")


def _tsv(path, *rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def sst2(folder):
    train = [(f"film {i} “fine”", str(i % 2)) for i in range(10)]
    _tsv(folder / "train.tsv", ("sentence", "label"), *train)
    _tsv(
        folder / "dev.tsv", ("sentence", "label"), ('a "good" film ', "1"), ("bad", "0")
    )
    _tsv(folder / "test.tsv", ("index", "sentence"), ("0", "who knows"))


def rte(folder):
    names = ("index", "sentence1", "sentence2", "label")
    rows = [("0", "It rains.", "It is wet.", "entailment")]
    rows += [("1", "broken row"), ("2", "It rains.", "It is dry.", "not_entailment")]
    _tsv(folder / "train.tsv", names, *rows)
    _tsv(folder / "test.tsv", names[:-1], ("0", "a", "b"))


def mrpc(folder):
    names = ("\ufeffQuality", "#1 ID", "#2 ID", "#1 String", "#2 String")
    _tsv(folder / "train.tsv", names, ("1", "7", "8", "a b", "b a"))
    _tsv(folder / "dev.tsv", names, ("0", "9", "3", "x", "y"))


def qqp(folder):
    names = ("id", "qid1", "qid2", "question1", "question2", "is_duplicate")
    row = ("0", "1", "2", "Why?", "Why so?", "1")
    _tsv(folder / "train.tsv", names, row, ("1", "3", "4", "How?", "When?", "0"))


def mnli(folder):
    names = ("index", "sentence1", "sentence2", "label1", "gold_label")
    for file, label in (
        ("train", "contradiction"),
        ("dev_matched", "neutral"),
        ("dev_mismatched", "entailment"),
    ):
        _tsv(folder / f"{file}.tsv", names, ("0", "a", "b", "neutral", label))


def snli(folder):
    folder = folder / "snli_1.0"
    folder.mkdir()
    pairs = [("A man eats.", "He eats.", "entailment"), ("A", "B", "-")]
    rows = [
        {"sentence1": a, "sentence2": b, "gold_label": label} for a, b, label in pairs
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "snli_1.0_train.jsonl").write_text(lines)
    names = ("gold_label", "sentence1_parse", "sentence1", "sentence2")
    _tsv(folder / "snli_1.0_dev.txt", names, ("neutral", "()", "A dog.", "A pet."))


def scitail(folder):
    folder = folder / "tsv_format"
    folder.mkdir()
    rows = [("Ice melts.", "Ice turns into water.", "entails"), ("a", "b", "neutral")]
    for split in ("train", "dev", "test"):
        _tsv(folder / f"scitail_1.0_{split}.tsv", *rows)


def imdb(folder):
    for split in ("train", "test"):
        for label in ("neg", "pos", "unsup"):
            (folder / "aclImdb" / split / label).mkdir(parents=True)
            for i in range(2):
                path = folder / "aclImdb" / split / label / f"{i}_7.txt"
                path.write_text(f"{label} film {i} \n")


def yelp(folder):
    lines = '"1","Never ""again"".\\nBad."\n"2","Good food. "\n'
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text(lines)
