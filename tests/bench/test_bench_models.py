"""`jsplit bench models` on tiny networks: what is timed, what is refused."""

import importlib.util
import json
import time

import jax
import numpy as np
import pytest
from make_mobilenet_reference import small, torch_logits
from thin_mobilenet import thin_mobilenet

from jsplit import cli
from jsplit.bench import models, rivals
from jsplit.bench.sizes import Passes
from jsplit.models import BERT
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = {"vocab_size": 30, "hidden": 8, "num_heads": 2, "num_layers": 2}
OURS = [
    "all exits",
    "final exit only",
    "each exit by its own pass",
    "all exits, one device, no options",
]


def test_rows_have_times_and_ratios_to_all_exits(monkeypatch):
    waits = {"all exits": 0.005, "rival": 0.1}
    ways = {way: lambda wait=wait: time.sleep(wait) for way, wait in waits.items()}
    monkeypatch.setattr(models, "_ways", lambda model, batch: ways)
    monkeypatch.setattr(models, "rivals_of", lambda *_: {})
    said = []
    rows = models.measure_models(
        ["bert"],
        Passes(batch_size=jax.device_count(), length=8, repeats=3, seconds=0.0),
        bert={**TINY, "max_length": 8},
        report=said.append,
    )
    assert [(row.network, row.how) for row in rows] == [("bert", way) for way in ways]
    assert rows[0].ratio == rows[0].cpu_ratio == 1
    assert rows[1].seconds >= 0.1
    assert rows[1].ratio > 2


def test_every_way_computes_the_same_exits():
    model = models.make_model(
        "cnn", num_classes=3, widths=(4, 4, 4), rngs=models.nnx.Rngs(0)
    )
    images = np.random.default_rng(0).random((2 * jax.device_count(), 8, 8, 1), "f4")
    ways = models._ways(model, images)
    every = np.asarray(model(images))
    np.testing.assert_allclose(ways[OURS[0]](), every, atol=1e-5)
    np.testing.assert_allclose(ways[OURS[1]](), every[:, -1], atol=1e-5)
    np.testing.assert_allclose(np.stack(ways[OURS[2]](), 1), every, atol=1e-5)
    np.testing.assert_allclose(ways[OURS[3]](), every, atol=1e-5)


def test_torch_bert_computes_the_same_hidden_state():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = BERT(2, **TINY, max_length=8, rngs=models.nnx.Rngs(0))
    texts = models._texts(4, 8, 30, seed=0)
    ways = rivals.rivals_of(model, texts, lambda line: None)
    ours, mask = model.head(texts, 2)
    assert len(ways) == 2
    for run in ways.values():
        theirs = run().last_hidden_state.numpy()
        np.testing.assert_allclose(ours[mask], theirs[mask], atol=1e-5)


def test_torch_mobilenet_is_the_same_network():
    pytest.importorskip("torch")
    model, images = small()
    ours = np.asarray(jax.jit(lambda model, x: model(x))(model, images))[:, -1]
    theirs = torch_logits(model, images)
    assert np.ptp(theirs, axis=0).min() > 0.05
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_torch_mobilenet_gives_its_weights_away_and_runs_in_both_layouts():
    torch = pytest.importorskip("torch")
    model = thin_mobilenet(stem="imagenet")
    images = np.random.default_rng(1).random((2, 64, 64, 3), np.float32)
    ways = rivals.rivals_of(model, images, lambda line: None)
    first, last = (run() for run in ways.values())
    assert list(ways) == [
        "PyTorch, channels first, final exit only",
        "PyTorch, channels last, final exit only",
    ]
    torch.testing.assert_close(first, last)
    assert np.abs(model.heads[0].linear.kernel[...]).max() > 0.5  # PyTorch has none
    assert np.abs(model.heads[6].linear.kernel[...]).max() <= 1280**-0.5


@pytest.mark.parametrize("network", ["bert", "mobilenet_v2"])
def test_without_torch_there_is_no_rival(monkeypatch, network):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = []
    model = object.__new__(models.REGISTRY[network])
    assert rivals.rivals_of(model, None, said.append) == {}
    assert "no rival, torch" in said[0]
    assert said[0].endswith("not installed")


def test_other_networks_have_no_rival():
    assert rivals.rivals_of(object(), None, print) == {}


def test_large_images_go_through_the_imagenet_stem(monkeypatch):
    built = []
    monkeypatch.setattr(
        models, "make_model", lambda name, **kwargs: built.append(kwargs["stem"])
    )
    monkeypatch.setattr(models.nnx, "view", lambda model, **_: model)
    for size in (32, 63, 64, 96):
        models._image_model("mobilenet_v2", size, 0)
    assert built == ["cifar", "cifar", "imagenet", "imagenet"]


def test_texts_have_lengths_up_to_the_longest():
    texts = models._texts(5, 12, 30, seed=0)
    lengths = (texts[:, 0] != 0).sum(axis=1)
    assert lengths.tolist() == [8, 9, 10, 11, 12]
    assert (texts[:, 1] == 0).all()


@pytest.mark.parametrize(("repeats", "seconds", "rounds"), [(1, 0.9, 5), (7, 0.9, 7)])
def test_short_passes_are_timed_more_often(monkeypatch, repeats, seconds, rounds):
    monkeypatch.setattr(models, "_ways", lambda *_: dict.fromkeys("ab", int))
    monkeypatch.setattr(models, "rivals_of", lambda *_: {})
    monkeypatch.setattr(models, "_seconds", lambda run: np.array([0.1, 0.2]))
    said = []
    rows = models.measure_models(
        ["cnn"],
        Passes(batch_size=jax.device_count(), repeats=repeats, seconds=seconds),
        report=said.append,
    )
    assert said[1:] == [f"cnn: round {i + 1} done" for i in range(rounds)]
    assert [(row.seconds, row.cpu_seconds) for row in rows] == [(0.1, 0.2)] * 2


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"repeats": 0}, r"repeats must be an integer >= 1, got 0"),
        ({"seconds": -1.0}, r"seconds must be .*>= 0, got -1"),
        ({"batch_size": 0}, r"batch_size must be an integer >= 1, got 0"),
        ({"length": 3}, r"length must be an integer >= 8, got 3"),
    ],
)
def test_refuses_bad_sizes(kwargs, message):
    sizes = {"batch_size": jax.device_count(), "repeats": 1, **kwargs}
    with pytest.raises(JsplitError, match=message):
        models.measure_models(["bert"], Passes(**sizes))


def test_refuses_unknown_networks_before_any_is_timed():
    with pytest.raises(JsplitError, match=r"networks must be one of .*, got 'foo'"):
        models.measure_models(["bert", "foo"])


def test_refuses_a_batch_that_devices_cannot_share(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(JsplitError, match=r"batch_size must be a multiple of 3, .* 4"):
        models.measure_models(["cnn"], Passes(batch_size=4))


def test_command_passes_sizes_on(monkeypatch, capsys):
    given = {}

    def measure(names, sizes, **kwargs):
        given.update(vars(sizes), names=names)
        return [models.Row("bert", "all exits", 1.0, 2.0, 1.0, 1.0)]

    monkeypatch.setattr(models, "measure_models", measure)
    options = [
        "--networks",
        "bert",
        "--num-layers",
        "3",
        "--length",
        "64",
        "--seed",
        "5",
    ]
    assert cli.main(["bench", "models", *options, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rows"][0]["cpu_seconds"] == 2.0
    assert given["names"] == ("bert",)
    assert (given["num_layers"], given["seed"]) == (3, 5)
    assert (given["length"], given["batch_size"], given["repeats"]) == (64, 32, 3)
    assert cli.main(["bench", "models"]) == 0
    assert "CPU seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["models", "--num-exits", "3"],
            "--num-exits 3; see jsplit bench models --help",
        ),
        (["engine", "--length", "64"], "--length 64; see jsplit bench engine --help"),
        (["policies", "--networks", "bert"], "--networks bert; see jsplit bench polic"),
        (["--length", "64"], "see jsplit bench --help"),
        (["models", "--length", "4"], "length must be an integer >= 8, got 4"),
    ],
)
def test_command_refuses(capsys, arguments, message):
    assert cli.main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
