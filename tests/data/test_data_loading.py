"""Loading prepared data sets: real ones where they are at hand, and every trap."""

import json
import shutil

import numpy as np
import pytest
import source_files
from data_files import REAL, VOCAB, needs_real_data

from jsplit.data import images, load
from jsplit.data.loading import parse_split
from jsplit.data.write import prepare
from jsplit.types import JsplitError

pytestmark = pytest.mark.core


@needs_real_data
def test_mnist_test_set(tmp_path):
    data = load("mnist", "test", REAL, cache_dir=tmp_path, progress=False)
    assert data.inputs.shape == (10_000, 28, 28, 1)
    assert data.inputs.dtype == np.uint8
    published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.labels).tolist() == published
    assert data.meta["num_unlabelled"] == 0
    again = load("mnist", "test[90%:]", REAL, cache_dir=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(again.inputs, data.inputs[9000:])


@needs_real_data
@pytest.mark.parametrize(
    ("name", "split", "counts"),
    [
        ("sst2", "validation", [428, 444]),
        ("rte", "validation", [146, 131]),
        ("mrpc", "validation", [129, 279]),
    ],
)
def test_glue_validation_sets(name, split, counts, tmp_path):
    data = load(name, split, REAL, tokenizer=VOCAB, cache_dir=tmp_path, progress=False)
    assert np.bincount(data.labels).tolist() == counts
    assert data.inputs.shape == (sum(counts), 2, 128)
    assert data.inputs.dtype == np.int32


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("mnist", "sst2"):
        source = folder / f"source-{name}"
        source.mkdir()
        getattr(source_files, name)(source)
        prepare(name, source, folder / "out", progress=False)
    return folder / "out"


@pytest.fixture
def out(prepared, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(prepared, tmp_path / "out")


def loaded(name, split, out, **options):
    cache = out.parent / "cache"
    return load(name, split, out, cache_dir=cache, progress=False, **options)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def shard(out):
    return out / "mnist/3.0.1/mnist-train.array_record-00000-of-00001"


def cut(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def in_train(change):
    def everywhere(info):
        change(next(x for x in info["splits"] if x["name"] == "train"))

    return lambda out: edit(out / "mnist/3.0.1/dataset_info.json", everywhere)


TRAPS = {
    "not prepared": (
        lambda out: shutil.rmtree(out / "mnist"),
        r"mnist is not prepared: .*mnist; run `jsplit data prepare mnist",
    ),
    "wrong format": (
        lambda out: edit(
            out / "mnist/3.0.1/dataset_info.json",
            lambda info: info.update(fileFormat="tfrecord"),
        ),
        "written as tfrecord, which needs TensorFlow",
    ),
    "no format": (
        lambda out: edit(
            out / "mnist/3.0.1/dataset_info.json", lambda info: info.pop("fileFormat")
        ),
        "written as tfrecord, which needs TensorFlow",
    ),
    "too few": (
        in_train(lambda split: split.update(shardLengths=["10"])),
        "split train holds 9 records, but .* promises 10",
    ),
    "too many": (
        in_train(lambda split: split.update(shardLengths=["8"])),
        "split train holds 9 records, but .* promises 8",
    ),
    "missing shard": (lambda out: shard(out).unlink(), r"array_record.* is missing"),
    "cut shard": (lambda out: cut(shard(out)), "is no whole ArrayRecord file"),
    "empty shard": (lambda out: cut(shard(out), 0), "no whole ArrayRecord|holds 0"),
    "broken description": (
        lambda out: cut(out / "mnist/3.0.1/dataset_info.json"),
        "dataset_info.json cannot be read",
    ),
    "no features": (
        lambda out: (out / "mnist/3.0.1/features.json").unlink(),
        "features.json cannot be read",
    ),
    "other features": (
        lambda out: shutil.copy(
            out / "glue/sst2/2.0.0/features.json", out / "mnist/3.0.1/features.json"
        ),
        "must have features image and label, got",
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_traps(trap, out):
    spoil, message = TRAPS[trap]
    spoil(out)
    with pytest.raises(JsplitError, match=message) as caught:
        loaded("mnist", "train", out)
    assert "\n" not in str(caught.value)


def test_damaged_record(out):
    """The index at the end is whole, so only reading finds out."""
    content = bytearray(shard(out).read_bytes())
    content[200:2000] = bytes(1800)
    shard(out).write_bytes(content)
    with pytest.raises(JsplitError, match=r"cannot be read|no whole"):
        loaded("mnist", "train", out)


def test_missing_pillow(out, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    wanted = r'reading images needs PIL: pip install "jsplit\[data\]"'
    with pytest.raises(ImportError, match=wanted):
        loaded("mnist", "train", out)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda out: loaded("minst", "train", out), "did you mean 'mnist'"),
        (
            lambda out: loaded("mnist", "tran", out),
            "split of mnist must be one of train, test, got 'tran'",
        ),
        (lambda out: loaded("mnist", "train[a:]", out), "split must be a name, or a"),
        (lambda out: loaded("mnist", "train[:120%]", out), "must stay below 100%"),
        (lambda out: loaded("mnist", "train[5:5]", out), "is empty: 9 in train"),
        (lambda out: loaded("sst2", "train", out), "tokenizer: sst2 holds texts"),
        (lambda out: loaded("mnist", "train", out, image_size=0), "image_size must be"),
        (
            lambda out: loaded("cifar10_c/fog_6", "test", out),
            "name must be cifar10_c/CORRUPTION_SEVERITY",
        ),
    ],
)
def test_bad_arguments(call, message, prepared):
    with pytest.raises(JsplitError, match=message):
        call(prepared)


def test_data_dir_comes_from_the_environment(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    monkeypatch.delenv("JSPLIT_DATA_DIR", raising=False)
    monkeypatch.setenv("JSPLIT_CACHE_DIR", str(tmp_path))
    assert len(load("mnist", "train", progress=False)) == 9
    assert list(tmp_path.iterdir())
    monkeypatch.setenv("JSPLIT_DATA_DIR", str(tmp_path))  # goes first
    with pytest.raises(JsplitError, match="mnist is not prepared"):
        load("mnist", "train", progress=False)


def test_second_load_only_maps(out, monkeypatch):
    first = loaded("mnist", "train", out)
    monkeypatch.setattr(images, "decode", None)  # to be called no more
    again = loaded("mnist", "train[:4]", out)
    np.testing.assert_array_equal(again.inputs, first.inputs[:4])
    assert isinstance(again.inputs.base, np.memmap) or isinstance(
        again.inputs, np.memmap
    )
    assert not again.inputs.flags.writeable


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: cut(folder / "inputs.npy"),
        lambda folder: cut(folder / "labels.npy", 0),
        lambda folder: (folder / "about.json").write_text('{"key": "another"}'),
        lambda folder: (folder / "inputs.npy").unlink(),
        lambda folder: shutil.rmtree(folder),
    ],
)
def test_unusable_cache_is_made_again(spoil, out):
    first = np.array(loaded("mnist", "train", out).inputs)
    (folder,) = (out.parent / "cache").iterdir()
    spoil(folder)
    np.testing.assert_array_equal(loaded("mnist", "train", out).inputs, first)
    assert [x.name for x in (out.parent / "cache").iterdir()] == [folder.name]


def test_cache_that_cannot_be_written_is_named(out, monkeypatch):
    file = out.parent / "file"
    file.write_text("")
    monkeypatch.setenv("JSPLIT_CACHE_DIR", str(file / "cache"))
    message = r"cache: cannot write into .*file/cache: .*; set JSPLIT_CACHE_DIR to"
    with pytest.raises(JsplitError, match=message):
        load("mnist", "train", out, progress=False)


def test_cache_is_of_one_tokenizer_length_and_content(out, tmp_path):
    sizes = []
    for length in (8, 16):
        data = loaded("sst2", "train", out, tokenizer=VOCAB, max_length=length)
        sizes.append(data.inputs.shape[-1])
    assert sizes == [8, 16]
    source = tmp_path / "other"
    source.mkdir()
    source_files.mnist(source)
    prepare("mnist", source, tmp_path / "again", progress=False)
    before = loaded("mnist", "train", out).inputs
    after = loaded("mnist", "train", tmp_path / "again").inputs
    assert (before != after).any()
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_interrupted_decoding_leaves_nothing(out, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "decode", fail)
    with pytest.raises(KeyboardInterrupt):
        loaded("mnist", "train", out)
    assert not list((out.parent / "cache").iterdir())


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", slice(0, 11)),
        ("train[:50%]", slice(0, 6)),
        ("train[50%:]", slice(6, 11)),
        ("train[3:-2]", slice(3, 9)),
        ("train[-10%:]", slice(10, 11)),
        ("train[:99]", slice(0, 11)),
    ],
)
def test_slices(split, rows):
    name, window = parse_split(split)
    assert (name, window(11)) == ("train", rows)


def test_image_that_is_none_or_cut_short_is_named():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 1), np.uint8)
    whole = images.encode_png(pixels)
    np.testing.assert_array_equal(images.decode([whole], (4, 4, 1)), [pixels])
    for broken in (b"no image", whole[: len(whole) // 2]):
        with pytest.raises(JsplitError, match=r"^image 1 of a batch is damaged or no"):
            images.decode([whole, broken], (4, 4, 1))


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
@pytest.mark.parametrize("where", ["top", "label"])
def test_a_data_folder_runs_no_code(key, where, out, tmp_path, monkeypatch):
    (tmp_path / "evilmod.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)

    def foreign(content):
        one = content if where == "top" else content["featuresDict"]["features"]
        one = one if where == "top" else one["label"]
        one.pop("pythonClassName")
        one[key] = "evilmod.X"

    edit(out / "mnist/3.0.1/features.json", foreign)
    with pytest.raises(JsplitError, match=r"asks for the class 'evilmod\.X'"):
        loaded("mnist", "test", out)


def nested(path):
    path.write_text("[" * 100_000)


def many_shards(path):
    def change(content):
        content["splits"][0]["shardLengths"] = ["1"] * 1_000_000

    edit(path, change)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("features.json", nested, "features.json cannot be read: .*nested too deeply"),
        ("dataset_info.json", nested, "info.json cannot be read: .*nested too deeply"),
        ("dataset_info.json", many_shards, "promises 1,000,00. files"),
    ],
)
def test_odd_descriptions(file, damage, message, out):
    damage(out / "mnist/3.0.1" / file)
    with pytest.raises(JsplitError, match=message):
        loaded("mnist", "test", out)


@pytest.mark.parametrize("file", ["inputs.npy", "labels.npy", "about.json"])
def test_a_cache_with_one_bit_flipped_is_made_again(file, out):
    data = loaded("mnist", "test", out)
    before = np.array(data.inputs), np.array(data.labels)  # no maps of the files
    (folder,) = (out.parent / "cache").iterdir()
    content = bytearray((folder / file).read_bytes())
    content[-9] ^= 1
    (folder / file).write_bytes(content)
    again = loaded("mnist", "test", out)
    np.testing.assert_array_equal(again.inputs, before[0])
    np.testing.assert_array_equal(again.labels, before[1])


def test_a_split_of_many_digits_is_refused():
    with pytest.raises(JsplitError, match="split must be a name, or a slice"):
        parse_split(f"train[:{'9' * 5000}]")
