import json

import numpy as np
import pytest
import source_files
from flax import nnx

import jsplit
from jsplit.cli import main
from jsplit.data import Tokenizer, distort, load
from jsplit.data.write import prepare
from jsplit.folders.lock import locked
from jsplit.models import BERT, CNN, save_model
from jsplit.recording import job, record
from jsplit.recording.request import Job
from jsplit.traces.calibration import calibrate
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def model():
    return CNN(10, widths=(4, 8, 8), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    facts = {"dataset": "digits", "num_classes": 10, "input": ["float32", 8, 8, 1]}
    return save_model(model, folder, **facts)


def test_recorded_trace_is_that_of_the_network(model, folder, tmp_path, capsys):
    out = tmp_path / "new" / "trace.npz"
    assert main(["record", str(folder), "digits", "--out", str(out), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "900 samples" in shown.out
    assert shown.err == ""
    trace = jsplit.load_trace(out)
    expected = record(model, load("digits", "test"))
    np.testing.assert_allclose(trace.confidence, expected.confidence, atol=1e-6)
    assert trace.meta["dataset"] == "digits"
    assert trace.meta["trained_on"] == "digits"
    assert trace.logits is None
    assert trace.lossless


def test_distorted_quantised_calibrated_trace(model, folder, tmp_path, capsys):
    out = tmp_path / "trace.npz"
    command = ["record", str(folder), "digits", "--out", str(out), "--json"]
    command += ["--split", "test[:60]", "--calibrate", "train[-80:]"]
    command += ["--distort", "blur=0.8", "--distort", "brightness=0.1"]
    assert main([*command, "--quantise", "3", "--keep-logits"]) == 0
    shown = json.loads(capsys.readouterr().out)
    train, test = load("digits", "train"), load("digits", "test")
    images = distort.gaussian_blur(test.inputs[:60], 0.8)
    images = distort.brightness(images, 0.1)
    expected = calibrate(
        record(model, (images, test.labels[:60]), quantise=3, keep_logits=True),
        record(model, (train.inputs[-80:], train.labels[-80:]), keep_logits=True),
    )
    trace = jsplit.load_trace(out)
    np.testing.assert_allclose(trace.confidence, expected.confidence, atol=1e-5)
    np.testing.assert_allclose(
        trace.remote_confidence, expected.remote_confidence, atol=1e-3
    )
    np.testing.assert_allclose(
        shown["temperature"], expected.meta["temperature"], rtol=1e-3
    )
    assert trace.remote_logits is not None
    assert trace.meta["distort"] == ["blur=0.8", "brightness=0.1"]
    assert trace.meta["split_bytes_quantised"]["3"] == [104, 56, 56]
    assert shown["accuracy"] == trace.accuracy.tolist()
    assert shown["accuracy if shipped"] == trace.remote_correct.mean(0).tolist()


def test_calibration_on_what_was_trained_on_is_told(model, tmp_path, capsys):
    facts = {"dataset": "digits", "num_classes": 10, "input": ["float32", 8, 8, 1]}
    learned = {"split": "train", "num_samples": 897, "data": {}}
    command = ["record", str(tmp_path / "net"), "digits", "--split", "test[:60]"]
    command += ["--out", str(tmp_path / "trace.npz"), "--calibrate"]
    for rows, part, note in (
        ({}, "train[-80:]", "trained on 80 of the 80 samples of train[-80:]"),
        ({"rows": [0, 857]}, "train[-80:]", "trained on 40 of the 80 samples"),
        ({"rows": [0, 817]}, "train[-80:]", None),
        ({}, "test[60:]", None),
        (None, "train[-80:]", None),  # not saved by `jsplit train`
    ):
        known = {"split": "train"} if rows is None else {**learned, "data": rows}
        save_model(model, tmp_path / "net", **facts, **known)
        assert main([*command, part]) == 0
        err = capsys.readouterr().err
        assert ("note:" in err) is (note is not None)
        assert note is None or note in err


def test_noise_follows_the_seed(folder, tmp_path, capsys):
    found = []
    for seed in "001":
        command = ["record", str(folder), "digits", "--split", "test[:20]"]
        command += ["--distort", "noise=30", "--seed", seed]
        assert main([*command, "--out", str(tmp_path / "x.npz")]) == 0
        found.append(jsplit.load_trace(tmp_path / "x.npz").confidence)
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "trace.csv"], "out must end in .npz"),
        (
            ["--split", "valid"],
            "split of digits must be one of train, test, got 'valid'",
        ),
        (["--distort", "blurr=1"], "distortion must be one of blur"),
        (["--distort", "blur=-1"], "level of blur (standard deviation in pixels) must"),
        (
            ["--distort", "jpeg=101"],
            "level of jpeg (quality) must be an integer from 1",
        ),
        (["--calibrate", "test"], "got test, which shares 900"),
        (
            ["--split", "test[:500]", "--calibrate", "test[450:-100]"],
            "calibrate must share no samples with the recorded test[:500], got "
            "test[450:-100], which shares 50",
        ),
        (["--quantise", "40"], "quantise must be an integer from 1 to 16, got 40"),
        (["--batch-size", "0"], "batch_size must be an integer >= 1, got 0"),
        (["--seed", "-1"], "seed must be an integer from 0 to 4294967295, got -1"),
        (["--split", "test[900:]"], "split test[900:] of digits is empty"),
        (["--max-length", "8"], "max_length is for texts, and the network in"),
    ],
)
def test_bad_command_ends_in_one_line(folder, tmp_path, capsys, options, words):
    command = ["record", str(folder), "digits", "--out", str(tmp_path / "x.npz")]
    assert main([*command, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsplit: ")
    assert words in line
    assert not (tmp_path / "x.npz").exists()


def test_missing_network_is_named(tmp_path, capsys):
    missing = str(tmp_path / "none")
    assert main(["record", missing, "digits", "--out", "x.npz"]) == 2
    assert missing in capsys.readouterr().err


def test_texts_may_be_longer_than_in_training(tmp_path, capsys):
    source_files.sst2(tmp_path)
    prepare("sst2", tmp_path, tmp_path / "data", progress=False)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film", "bad"]
    sizes = {"num_layers": 2, "hidden": 8, "num_heads": 2, "max_length": 12}
    model = BERT(2, vocab_size=len(words), **sizes, rngs=nnx.Rngs(0))
    save_model(model, tmp_path, num_classes=2, input=["int32", 2, 4])
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    command = ["record", str(tmp_path), "sst2", "--data-dir", str(tmp_path / "data")]
    command += ["--split", "validation"]
    sure = []
    for options in ([], ["--max-length", "12"], ["--max-length", "13"]):
        out = tmp_path / f"{len(sure)}.npz"
        status = main([*command, *options, "--out", str(out)])
        if status == 0:
            sure.append(jsplit.load_trace(out).confidence)
    assert status == 2
    assert "at most max_length = 12 tokens" in capsys.readouterr().err
    cut, whole = (
        sure  # 4 tokens hold two words: enough for "bad", too few for the other
    )
    assert (cut[0] != whole[0]).all()
    np.testing.assert_allclose(cut[1], whole[1], atol=1e-6)


def test_network_of_images_does_not_record_texts(folder, tmp_path, capsys):
    source_files.sst2(tmp_path)
    prepare("sst2", tmp_path, tmp_path / "data", progress=False)
    command = ["record", str(folder), "sst2", "--data-dir", str(tmp_path / "data")]
    assert main([*command, "--split", "train", "--out", str(tmp_path / "x.npz")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sst2 holds texts, but the network in" in line
    assert line.endswith("was trained on images")


def test_network_for_other_inputs_or_classes_is_refused(tmp_path, capsys):
    for facts, words in (
        ({"input": ["uint8", 32, 32, 3]}, "have shape [8, 8, 1], but the network"),
        ({"num_classes": 3}, "digits has 10 classes, but the network"),
    ):
        save_model(CNN(3, widths=(4, 4), rngs=nnx.Rngs(0)), tmp_path, **facts)
        command = ["record", str(tmp_path), "digits", "--out", str(tmp_path / "x.npz")]
        assert main(command) == 2
        assert words in capsys.readouterr().err


def test_two_recordings_do_not_write_one_file(folder, tmp_path, capsys):
    out = tmp_path / "x.npz"
    with locked(out, "out"):
        assert main(["record", str(folder), "digits", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "x.npz is being written by process" in line
    assert list(tmp_path.iterdir()) == []


def test_another_vocabulary_is_refused(tmp_path):
    source_files.sst2(tmp_path)
    prepare("sst2", tmp_path, tmp_path / "data", progress=False)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film", "bad"]
    sizes = {"num_layers": 2, "hidden": 8, "num_heads": 2, "max_length": 12}
    model = BERT(2, vocab_size=len(words), **sizes, rngs=nnx.Rngs(0))
    known = {"data": {"vocab": Tokenizer(words).fingerprint}}
    save_model(model, tmp_path, num_classes=2, input=["int32", 2, 4], **known)
    words[-1] = "bat"
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    request = Job(tmp_path, "sst2", split="validation", data_dir=tmp_path / "data")
    with pytest.raises(JsplitError, match="not the one that the network learned with"):
        job.run(request)
