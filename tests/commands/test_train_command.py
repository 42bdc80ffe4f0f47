"""`jsplit train`: the folder it leaves, the same command again, and what it refuses."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import safetensors.numpy
import source_files
from flax import nnx
from thin_mobilenet import as_torchvision, thin_mobilenet

from jsplit import cli
from jsplit.data.write import prepare
from jsplit.folders.lock import locked
from jsplit.grammar import parse_settings
from jsplit.models import load_model
from jsplit.training import job, loop

pytestmark = pytest.mark.usefixtures("quick_compile")

DIGITS = ["train", "digits", "--set", "widths=(2, 3)", "--num-epochs", "2"]
DIGITS += ["--validation", "0.1"]


def run(capsys, *arguments, status=0):
    capsys.readouterr()
    found = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert found == status, err
    return out, err


def arrays(module):
    return jax.tree.leaves(nnx.state(module))


def weights(folder):
    return arrays(load_model(folder)[0])


def test_arguments_are_literals_or_texts():
    texts = ["width=0.5", "stem=cifar", "a=(4, 8)", "b=None", "c=x=y"]
    found = parse_settings("set", texts)
    assert found == {"width": 0.5, "stem": "cifar", "a": (4, 8), "b": None, "c": "x=y"}


def test_train_leaves_a_model_and_does_not_repeat_itself(capsys, tmp_path, monkeypatch):
    out, err = run(capsys, *DIGITS, "--out", tmp_path / "a", "--json")
    said = json.loads(out)
    assert said["is_new"]
    assert "epoch 2/2: loss" in err
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]
    model, meta = load_model(tmp_path / "a")
    assert dict(model.arguments)["widths"] == (2, 3)
    assert dict(model.arguments)["in_channels"] == 1
    assert (meta["dataset"], meta["split"], meta["num_samples"]) == (
        "digits",
        "train",
        897,
    )
    assert meta["settings"]["num_epochs"] == 2
    assert np.shape(meta["log"]["validation_accuracy"]) == (2, 2)

    monkeypatch.setattr(loop, "take_step", None)  # nothing is trained again
    out, _ = run(capsys, *DIGITS, "--out", tmp_path / "a", "--json")
    assert not json.loads(out)["is_new"]
    _, err = run(
        capsys, *DIGITS, "--out", tmp_path / "a", "--learning-rate", "0.5", status=2
    )
    assert "learning_rate: " in err
    assert "with 0.01, got 0.5" in err
    monkeypatch.undo()

    before = weights(tmp_path / "a")
    again = [*DIGITS, "--out", tmp_path / "a", "--seed", 1, "--fresh", "--json"]
    out, _ = run(capsys, *again)
    assert json.loads(out)["is_new"]
    assert any(
        (x != y).any() for x, y in zip(weights(tmp_path / "a"), before, strict=True)
    )

    begin = [*DIGITS, "--out", tmp_path / "b", "--init-weights", tmp_path / "a"]
    out, _ = run(capsys, *begin, "--learning-rate", 1e-9)
    assert "held-out" in out
    for x, y in zip(weights(tmp_path / "b"), weights(tmp_path / "a"), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


def test_images_of_ones_own_can_be_trained_on(tmp_path, monkeypatch):
    monkeypatch.setenv("JSPLIT_CACHE_DIR", str(tmp_path / "cache"))
    source_files.images(tmp_path / "source")
    data_dir = tmp_path / "data"
    prepare("pets", tmp_path / "source", data_dir, image_folder=True, progress=False)
    wanted = job.Job("pets", "cnn", data_dir=data_dir, image_size=8)
    job._check_exits(wanted)
    data, tokenizer = job._data(wanted, tmp_path, progress=False, say=print)
    assert (data.inputs.shape, data.num_classes) == ((6, 8, 8, 3), 2)
    assert tokenizer is None


def test_vocabulary_is_that_of_the_job_and_not_of_an_earlier_one(tmp_path):
    source_files.sst2(tmp_path)
    data_dir = tmp_path / "data"
    prepare("sst2", tmp_path, data_dir, progress=False)
    kept, learned = tmp_path / "vocab.txt", []
    for size in (27, 25, 27):
        wanted = job.Job("sst2", "bert", data_dir=data_dir)
        wanted = dataclasses.replace(wanted, vocab_size=size)
        job._tokenizer(wanted, kept, progress=False, say=lambda line: None)
        learned.append(kept.read_text("utf-8").splitlines())
    assert [len(vocab) for vocab in learned] == [27, 25, 27]
    assert learned[0] == learned[2]


def test_network_must_read_what_the_data_set_holds(capsys, tmp_path):
    source_files.sst2(tmp_path)
    prepare("sst2", tmp_path, tmp_path / "data", progress=False)
    texts = ["sst2", "--data-dir", tmp_path / "data", "--vocab-size", 30]
    for given, message in (
        ([*texts, "--model", "cnn"], "sst2 holds texts, but model cnn reads images"),
        (["digits", "--model", "bert"], "holds images, but model bert reads texts"),
    ):
        _, err = run(capsys, "train", *given, "--out", tmp_path / "x", status=2)
        assert message in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_published_weights_without_side_exits_are_a_start(name, tmp_path):
    whole = thin_mobilenet()
    tensors = as_torchvision(whole)
    backbone = {k: v.copy() for k, v in tensors.items() if not k.startswith("exits")}
    if name.endswith("bin"):
        torch = pytest.importorskip("torch")
        weights = {k: torch.from_numpy(v) for k, v in backbone.items()}
        torch.save(weights, tmp_path / name)
    else:
        safetensors.numpy.save_file(backbone, tmp_path / name)
    requests = [
        job.request_of(job.Job("cifar10", "mobilenet_v2", init_weights=x))
        for x in (tmp_path, tmp_path / name)
    ]
    assert requests[0] == requests[1]
    model = thin_mobilenet(seed=1)
    job._start_from(model, tmp_path)
    for one, other in zip(model.blocks, whole.blocks, strict=True):
        for x, y in zip(*map(arrays, (one, other)), strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "wides=3"], "model cnn takes num_classes, in_channels, widths"),
        (["--set", "rngs=3"], "model cnn takes num_classes, in_channels, widths"),
        (["--set", "name=3"], "model cnn takes num_classes, in_channels, widths"),
        (["--set", "wides"], "set must be NAME=VALUE, got 'wides'"),
        (["--model", "cnnn"], "did you mean 'cnn'"),
        (["--patience", "2", "--validation", "0"], "patience must be None without"),
        (
            ["--preset", "isplitee", "--set", "widths=(2, 3)"],
            "exit_weights must be 2 numbers, one per exit",
        ),
        (["--exit-weights", "1", "2"], "exit_weights must be 6 numbers, one per exit"),
        (
            ["--augment", "crop", "--batch-size", "5", "--devices", "2"],
            "divide a batch",
        ),
        (["--devices", "999"], "devices must be an integer from 1 to"),
        (
            ["--split", "valid"],
            "split of digits must be one of train, test, got 'valid'",
        ),
        (["--init-weights", "no/such"], "cannot read no/such"),
    ],
)
def test_bad_arguments_end_in_one_line(capsys, tmp_path, arguments, message):
    given = ["train", "digits", "--out", tmp_path / "x", *arguments]
    _, err = run(capsys, *given, status=2)
    (line,) = err.splitlines()  # nothing was begun
    assert line.startswith("jsplit: ")
    assert message in line


PARSED = [
    ([], ("adamw", 0.01, 30, 64, 0.0)),
    (["--preset", "isplitee"], ("adam", 1.5e-4, 30, 64, 0.0)),
    (["--preset=splitee"], ("adamw", 2e-5, 5, 32, 0.0)),
    (
        ["--learning-rate", "0.01", "--num-epochs", "30", "--preset", "splitee"],
        ("adamw", 0.01, 30, 32, 0.0),
    ),
    (
        ["--preset", "splitee", "--optimizer", "sgd", "--validation", "0.2"],
        ("sgd", 2e-5, 5, 32, 0.2),
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), PARSED)
def test_what_is_given_wins_over_the_preset_and_that_over_defaults(arguments, expected):
    """Also where what is given is a default."""
    command = cli._parse(["train", "digits", "--out", "x", *arguments])
    found = command.job.settings
    assert (
        found.optimizer,
        found.learning_rate,
        found.num_epochs,
        found.batch_size,
        found.validation,
    ) == expected
    assert isinstance(command.job, job.Job)


def test_help_shows_the_defaults_and_those_of_a_preset(capsys):
    for preset, shown in (
        ([], ["(default: 0.01)", "(default: 64)", "(default: cosine)"]),
        (["--preset", "splitee"], ["(default: 2e-05)", "(default: 32)", "(linear)"]),
    ):
        with pytest.raises(SystemExit):
            cli.main(["train", *preset, "--help"])
        out = " ".join(capsys.readouterr().out.replace("│", "").split())
        for words in shown:
            assert words.replace("(linear)", "(default: linear)") in out


def test_settings_of_a_network_are_given_once(capsys, tmp_path):
    twice = [*DIGITS, "--set", "widths=(4, 4)", "--out", tmp_path / "x"]
    _, err = run(capsys, *twice, status=2)
    assert err == "jsplit: set must be NAME=VALUE, got widths twice\n"


def test_quiet_training_says_nothing_on_the_way(capsys, tmp_path):
    out, err = run(capsys, *DIGITS, "--out", tmp_path / "a", "--quiet", "--json")
    assert err == ""
    assert json.loads(out)["is_new"]


def test_the_sparse_network_of_the_paper_is_built(capsys, tmp_path):
    command = ["train", "digits", "--model", "sparse_mlp", "--num-epochs", "1"]
    command += ["--set", "out_degrees=[2,9,10]", "--out", tmp_path / "a"]
    run(capsys, *command, "--split", "train[:64]", "--quiet")
    model, _ = load_model(tmp_path / "a")
    assert dict(model.arguments)["out_degrees"] == (2, 9, 10)


@pytest.mark.parametrize(
    ("name", "setting", "number"),
    [
        ("mlp", "widths=(1000000000,4)", "799,000,000,064"),
        ("cnn", "widths=(1000000000,4)", "57,000,000,068"),
        ("mlp", "num_features=10000000000000", "640,000,000,010,334"),
    ],
)
def test_a_network_larger_than_memory_is_refused(
    name, setting, number, capsys, tmp_path
):
    command = ["train", "digits", "--model", name, "--set", setting]
    _, err = run(capsys, *command, "--out", tmp_path / "a", status=2)
    assert f"training the {number} weights of {name} with" in err
    assert err.count("\n") == 1


def test_two_trainings_do_not_share_a_folder(capsys, tmp_path):
    with locked(tmp_path, "out"):
        _, err = run(capsys, *DIGITS, "--out", tmp_path, status=2)
    assert "is being written by process" in err
    assert list(tmp_path.iterdir()) == []
