"""From tiny source files to the layout of TFDS and back, by the command line."""

import io
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import source_files
from data_files import REAL, VOCAB, needs_real_data, texts_of
from PIL import Image

from jsplit import cli
from jsplit.data import load
from jsplit.data.catalogue import CATALOGUE
from jsplit.data.inspect import check, listing
from jsplit.data.read import find, read_batches
from jsplit.data.sources import READERS
from jsplit.data.write import prepare
from jsplit.folders.lock import locked
from jsplit.types import JsplitError

pytestmark = pytest.mark.core


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def made(name, source, out, **options):
    return prepare(name, source, out, progress=False, **options)


def loaded(name, split, out, **options):
    options.setdefault("tokenizer", VOCAB)
    cache = out.parent / "cache"
    return load(name, split, out, cache_dir=cache, progress=False, **options)


def test_everything_known_has_a_reader():
    assert set(READERS) == {*CATALOGUE, "cifar10_c"} - {"digits"}


def test_cifar10_both_forms(source, out, tmp_path):
    content = source_files.cifar10_binary(source)
    data = made("cifar10", source, out)
    assert data.full_name == "cifar10/3.0.2"
    assert data.counts == {"train": 15, "test": 3}
    train = loaded("cifar10", "train", out)
    images = [x for key, (x, _) in content.items() if key.startswith("train")]
    rows = {image.tobytes() for image in train.inputs}
    assert rows == {image.tobytes() for image in images}
    by_pixels = {x.tobytes(): int(label) for x, label in content.values()}
    for image, label in zip(train.inputs, train.labels, strict=True):
        assert by_pixels[image.tobytes()] == label
    other = tmp_path / "python"
    other.mkdir()
    source_files.cifar10_python(other, content)
    made("cifar10", other, tmp_path / "again")
    again = loaded("cifar10", "train", tmp_path / "again")
    np.testing.assert_array_equal(again.inputs, train.inputs)
    np.testing.assert_array_equal(again.labels, train.labels)


def test_pickle_that_wants_to_run_something_is_refused(source, out):
    content = source_files.cifar10_binary(source)
    for path in source.rglob("*.bin"):
        path.unlink()
    source_files.cifar10_python(source, content)
    victim = source / "ran"
    batch = source / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(f"cos\nsystem\n(S'touch {victim}'\ntR.".encode())
    with pytest.raises(JsplitError, match=r"data_batch_2 is no batch .* asks for os"):
        made("cifar10", source, out)
    assert not victim.exists()


def test_mnist(source, out):
    content = source_files.mnist(source)
    made("mnist", source, out)
    for split, (images, labels) in content.items():
        data = loaded("mnist", split, out)
        order = np.argsort(data.labels)  # labels are 0, 1, 2, ...: the source's order
        np.testing.assert_array_equal(data.labels[order], labels)
        np.testing.assert_array_equal(data.inputs[order, :, :, 0], images)


def test_cifar10_c_takes_its_severity(source, out):
    images = source_files.cifar10_c(source)
    name = "cifar10_c/frosted_glass_blur_3"
    data = made(name, source, out)
    assert data.full_name == "cifar10_corrupted/frosted_glass_blur_3/1.0.0"
    test = loaded(name, "test", out)
    order = np.argsort(test.labels)
    assert test.labels[order].tolist() == [4, 7]
    np.testing.assert_array_equal(test.inputs[order], images[4:6])
    assert name in [row["name"] for row in listing(out) if row["prepared"]]


@pytest.mark.parametrize("damage", [lambda x: x[:9000], lambda x: b"no array" * 99])
def test_damaged_cifar10_c_is_named(damage, source, out):
    source_files.cifar10_c(source)
    file = source / "glass_blur.npy"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(JsplitError, match=r"glass_blur.npy is no whole npy file: "):
        made("cifar10_c/frosted_glass_blur_3", source, out)


def test_images_of_your_own(source, out):
    source_files.images(source)
    data = made("pets", source, out, image_folder=True)
    assert data.counts == {"train": 6}
    train = loaded("pets", "train", out, image_size=(8, 12))
    assert train.inputs.shape == (6, 8, 12, 3)
    assert train.num_classes == 2
    for image, label in zip(train.inputs, train.labels, strict=True):
        assert np.ptp(image.reshape(-1, 3), axis=0).max() == 0  # one colour each
        assert image[0, 0, 1] == 200 - 40 * label
    with pytest.raises(JsplitError, match="image_size: images of pets differ in size"):
        loaded("pets", "train", out)
    with pytest.raises(JsplitError, match="got 'mnist'"):
        made("mnist", source, out, image_folder=True)


@pytest.mark.parametrize("damage", ["empty", "no image", "cut png", "cut jpeg"])
def test_file_that_is_no_image_is_named(damage, source, out):
    source_files.images(source)
    file = source / "dog" / "001.png"
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(jpeg, "JPEG")
    file.write_bytes(
        {
            "empty": b"",
            "no image": b"no image",
            "cut png": file.read_bytes()[:60],
            "cut jpeg": jpeg.getvalue()[:-200],
        }[damage]
    )
    with pytest.raises(JsplitError, match=r"dog/001.png is damaged or no image"):
        made("pets", source, out, image_folder=True)
    assert not list(out.rglob("dataset_info.json"))


@pytest.mark.parametrize("tested", [("Cat",), ("Cat", "dog", "emu")])
def test_splits_must_have_the_same_classes(tested, source, out):
    source_files.images(source / "train")
    source_files.images(source / "test", tested)
    message = f"same classes in .*; test .* differ in {'emu' if tested[1:] else 'dog'}"
    with pytest.raises(JsplitError, match=message):
        made("pets", source, out, image_folder=True)


def test_caltech_is_split_by_class(source, out):
    """Also one folder down, where the archive puts them, and named as TFDS does."""
    classes = ("Faces", "accordion")
    source_files.images(source / "101_ObjectCategories", classes, number=33)
    data = made("caltech101", source, out)
    assert data.counts == {"train": 60, "test": 6}
    names = (data.folder / "label.labels.txt").read_text().split()
    assert names == ["accordion", "faces"]
    first = loaded("caltech101", "train", out, image_size=8)
    greens = first.inputs[:, 0, 0, 1]
    np.testing.assert_array_equal(greens, np.where(first.labels == 0, 160, 200))
    train, test = check("caltech101", out, progress=False)
    assert list(train["labels"].values()) == [30, 30]
    assert list(test["labels"].values()) == [3, 3]


TEXTS = {
    "sst2": ("train", 10, 'a "good" film '),
    "rte": ("train", 2, None),
    "mrpc": ("train", 1, None),
    "qqp": ("train", 2, None),
    "mnli": ("validation_mismatched", 1, None),
    "snli": ("validation", 1, "A pet."),
    "scitail": ("validation", 2, "Ice turns into water."),
    "imdb": ("test", 4, "neg film 1"),
    "yelp": ("train", 2, 'Never ""again"".\\nBad.'),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name, source, out):
    getattr(source_files, name)(source)
    data = made(name, source, out)
    split, number, text = TEXTS[name]
    assert data.full_name == f"{CATALOGUE[name].tfds}/{CATALOGUE[name].version}"
    assert data.counts[split] == number
    read = loaded(name, split, out, max_length=16)
    assert read.inputs.shape == (number, 2, 16)
    known = texts_of(name, "validation" if name == "sst2" else split, out)
    assert text is None or text in known
    two = read.inputs[:, 1].any(axis=1)
    assert two.all() == (len(CATALOGUE[name].features) == 2)


def test_labels_follow_their_names(source, out):
    source_files.mnli(source)
    made("mnli", source, out)
    splits = ("train", "validation_matched", "validation_mismatched")
    labels = [int(loaded("mnli", split, out).labels[0]) for split in splits]
    assert labels == [2, 1, 0]


def test_examples_without_label_are_left_out_and_counted(source, out):
    source_files.snli(source)
    made("snli", source, out)
    train = loaded("snli", "train", out)
    assert (len(train), train.meta["num_unlabelled"]) == (1, 1)
    assert check("snli", out, progress=False)[0]["unlabelled"] == 1


def test_split_without_any_label(source, out):
    source_files.sst2(source)
    made("sst2", source, out)
    with pytest.raises(JsplitError, match="split test of sst2 has no labels, all 1"):
        loaded("sst2", "test", out)


@needs_real_data
def test_order_is_that_of_tfds(source, out):
    """TFDS's own builder wrote the real data, from rows in the order of `idx`."""
    real = find("sst2", REAL)
    batches = read_batches(real, "validation", "", progress=False)
    records = [record for batch in batches for record in batch]
    rows = sorted(records, key=lambda record: record["idx"])
    lines = [f"{row['sentence'].decode()}\t{row['label']}\n" for row in rows]
    for file in ("train", "dev"):
        (source / f"{file}.tsv").write_text("sentence\tlabel\n" + "".join(lines))
    again = made("sst2", source, out)
    ours = read_batches(again, "validation", "", progress=False)
    assert [record for batch in ours for record in batch] == records


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda x: None, r"source of sst2 must hold train.tsv, got .*gluebenchmark"),
        (
            lambda x: (x / "train.tsv").write_text("sentence\tlabel\nfine\tgood\n"),
            r"source of sst2, .*good",
        ),
        (
            lambda x: (x / "train.tsv").write_bytes(b"sentence\tlabel\nf\xffine\t1\n"),
            r"source of sst2, .*UnicodeDecodeError",
        ),
        (
            lambda x: (x / "train.tsv").write_text("sentence\tlabel\n"),
            r"source of sst2, ",
        ),
    ],
)
def test_bad_sources(write, message, source, out):
    write(source)
    with pytest.raises(JsplitError, match=message):
        made("sst2", source, out)
    assert not list(out.rglob("dataset_info.json"))


def test_prepared_once(source, out):
    source_files.yelp(source)
    made("yelp", source, out)
    with pytest.raises(JsplitError, match="yelp is prepared already"):
        made("yelp", source, out)


def test_download_needs_tensorflow(out, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(JsplitError, match=r"jsplit\[prepare\].* or give --source"):
        made("mnist", None, out)


def test_download_that_fails_says_what_else_can_be_done(out, monkeypatch):
    def builder(*args, **kwargs):
        logging.getLogger("urllib3.connectionpool").warning("Retrying")
        raise ConnectionError("no such host")

    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("tensorflow_datasets.builder", builder)
    try:
        with pytest.raises(JsplitError, match=r"mnist; give --source .*no such host"):
            made("mnist", None, out)
    finally:
        logging.getLogger().removeHandler(handler)
    assert lines.getvalue() == ""


def test_commands(source, out, capsys, monkeypatch):
    def run(*arguments):
        assert cli.main(["data", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    source_files.sst2(source)
    here = ["--data-dir", out, "--json"]
    before = {row["name"]: row for row in json.loads(run("list", *here))["rows"]}
    assert set(before) == set(CATALOGUE)
    assert before["sst2"]["prepared"] is None
    told = json.loads(run("prepare", "sst2", "--source", source, *here))
    assert told["splits"] == {"train": 10, "validation": 2, "test": 1}
    after = {row["name"]: row for row in json.loads(run("list", *here))["rows"]}
    assert after["sst2"]["splits"] == told["splits"]
    splits = json.loads(run("check", "sst2", *here))["splits"]
    assert splits[0]["labels"] == {"negative": 5, "positive": 5}
    assert splits[2]["unlabelled"] == 1
    monkeypatch.setenv("JSPLIT_DATA_DIR", str(out))
    assert "train 10" in run("list")
    assert "negative 5" in run("check", "sst2")
    vocab = source / "vocab.txt"
    assert str(vocab) in run("vocab", "sst2", "--size", 40, "--out", vocab)
    assert vocab.read_text().startswith("[PAD]\n[UNK]\n[CLS]\n")


def test_nothing_imports_tensorflow(source, out):
    """A module of that name must not even be looked for and found."""
    source_files.mnist(source)
    script = (
        "import sys; from jsplit.data import load; "
        "from jsplit.data.write import prepare; "
        f"prepare('mnist', {str(source)!r}, {str(out)!r}, progress=False); "
        f"load('mnist', 'train', {str(out)!r}, cache_dir={str(out / 'c')!r}); "
        "print('tensorflow_datasets' in sys.modules, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("line", ["[1]", '{"gold_label": "-", "sentence1": null}', "{"])
def test_odd_lines_of_snli_are_one_line(line, source, out):
    (source / "snli_1.0_train.jsonl").write_text(line + "\n")
    with pytest.raises(JsplitError, match="source of snli") as error:
        prepare("snli", source, out, progress=False)
    assert "\n" not in str(error.value)
    assert not (out / "snli").exists()


def test_an_image_of_too_many_pixels_is_refused(source, out):
    big = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(big, "PNG")
    for name in ("cat", "dog"):
        (source / name).mkdir()
        (source / name / "a.png").write_bytes(big.getvalue())
    with pytest.raises(JsplitError, match=r"a\.png (has more|must have at most)"):
        prepare("mine", source, out, image_folder=True, progress=False)


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_a_pipe_among_images_is_passed_over(source, out):
    for name in ("cat", "dog"):
        (source / name).mkdir()
        os.mkfifo(source / name / "a.png")
    with pytest.raises(JsplitError, match="at least two folders of images"):
        prepare("mine", source, out, image_folder=True, progress=False)


def test_two_processes_do_not_prepare_into_one_folder(source, out):
    source_files.mnist(source)
    home = out / "mnist"
    home.mkdir(parents=True)
    busy = pytest.raises(JsplitError, match=r"data_dir: .*mnist is being written")
    with locked(home, "data_dir"), busy:
        prepare("mnist", source, out, progress=False)
