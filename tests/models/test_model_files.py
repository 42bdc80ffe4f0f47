"""Networks written to disk and read again."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from jsplit.models import CNN, MultiExit, load_model, make_model, save_model
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture
def model():
    return CNN(3, widths=(4, 4), rngs=nnx.Rngs(5))


def test_a_loaded_network_gives_the_same_logits(model, tmp_path):
    save_model(model, tmp_path / "net", dataset="toy")
    loaded, meta = load_model(tmp_path / "net")
    x = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
    np.testing.assert_array_equal(loaded(x), model(x))
    assert meta == {"dataset": "toy"}
    assert type(loaded) is CNN
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_names_what_does_not_fit(model, tmp_path):
    save_model(model, tmp_path)
    file = tmp_path / "model.json"
    text = json.loads(file.read_text())
    text["arguments"]["widths"] = [4, 4, 4]
    file.write_text(json.dumps(text))
    with pytest.raises(JsplitError, match=r"missing blocks\.2\.linear\.kernel"):
        load_model(tmp_path)
    text["arguments"]["widths"] = [4, 5]
    file.write_text(json.dumps(text))
    with pytest.raises(JsplitError, match=r"misshapen blocks\.1\.linear\.kernel"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("model.json", None, "cannot read .*model.json"),
        ("model.json", b"{", "is not JSON"),
        ("model.json", b"[]", "not a description of format 1"),
        ("model.json", b'{"format": 1}', "not a description of format 1"),
        ("model.safetensors", b"abc", "truncated or not safetensors"),
    ],
)
def test_broken_folders(model, tmp_path, name, content, match):
    save_model(model, tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(JsplitError, match=match):
        load_model(tmp_path)


def test_a_folder_that_cannot_be_made_or_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JsplitError, match=r"folder: cannot write into .*file"):
        save_model(model, tmp_path / "file" / "net")
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(JsplitError, match=r"cannot write .*model\.safetensors"):
        save_model(model, tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["file", "model.safetensors"]  # nothing temporary


def test_only_registered_networks_are_saved(tmp_path):
    rngs = nnx.Rngs(0)
    layers = [nnx.Linear(4, 4, rngs=rngs) for _ in range(2)]
    with pytest.raises(JsplitError, match="model must be one of cnn"):
        save_model(MultiExit(layers, layers), tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("cn", {}, "did you mean 'cnn'"),
        ("cnn", {}, "needs num_classes"),
        ("cnn", {"num_classes": 2, "depth": 3}, "takes .*widths, got depth"),
    ],
)
def test_make_model_refuses(name, arguments, match):
    with pytest.raises(JsplitError, match=match):
        make_model(name, rngs=nnx.Rngs(0), **arguments)
