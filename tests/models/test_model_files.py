"""Networks written to disk and read again."""

import contextlib
import json
import os

import jax
import numpy as np
import pytest
from flax import nnx

from jsplit.models import CNN, MultiExit, files, load_model, make_model, save_model
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


ARGUMENTS = {"num_classes": 3, "in_channels": 1, "widths": [4, 4]}


def described(folder, **changes):
    """Writes another description of a network, with a checksum that fits it."""
    file = folder / "model.json"
    description = {**json.loads(file.read_text()), **changes}
    description["sha256"] = files._checksum(description)
    file.write_text(json.dumps(description))


def test_names_what_does_not_fit(model, tmp_path):
    save_model(model, tmp_path)
    described(tmp_path, arguments={**ARGUMENTS, "widths": [4, 4, 4]})
    with pytest.raises(JsplitError, match=r"missing blocks\.2\.linear\.kernel"):
        load_model(tmp_path)
    described(tmp_path, arguments={**ARGUMENTS, "widths": [4, 5]})
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


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_every_flipped_bit_is_refused_or_harmless(name, model, tmp_path):
    save_model(model, tmp_path, dataset="toy")
    content = (tmp_path / name).read_bytes()
    expected = load_model(tmp_path)[1]
    for bit in range(0, 8 * len(content), 8 * len(content) // 60):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / name).write_bytes(damaged)
        with contextlib.suppress(JsplitError):
            found, meta = load_model(tmp_path)
            assert name == "model.json"  # whose spaces say nothing
            assert meta == expected
            assert found.num_classes == 3


ODD = {
    "no name": {"model": 3},
    "a list for a name": {"model": ["cnn"]},
    "another name": {"model": "cmm"},
    "no arguments": {"arguments": None},
    "a list of arguments": {"arguments": [1, 2]},
    "a name too many": {"arguments": {**ARGUMENTS, "rngs": 3}},
    "a word": {"arguments": {**ARGUMENTS, "widths": "abc"}},
    "none": {"arguments": {**ARGUMENTS, "widths": None}},
    "nested": {"arguments": {**ARGUMENTS, "widths": [[4], 4]}},
    "an odd key": {"arguments": {**ARGUMENTS, "": 4}},
    "too large": {"arguments": {**ARGUMENTS, "widths": [10**30, 4]}},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=list(ODD))
def test_odd_descriptions_are_one_line(changes, model, tmp_path):
    save_model(model, tmp_path)
    described(tmp_path, **changes)
    with pytest.raises(JsplitError, match=r"^model: ") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_nested_json_and_pipes_are_one_line(model, tmp_path):
    save_model(model, tmp_path)
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(JsplitError, match="nested too deeply"):
        load_model(tmp_path)
    (tmp_path / "model.json").unlink()
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(JsplitError, match="not a regular file"):
        load_model(tmp_path)


def test_a_dtype_that_numpy_lacks_is_named(model, tmp_path):
    save_model(model, tmp_path)
    header = json.dumps(
        {"w": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}
    ).encode()
    content = len(header).to_bytes(8, "little") + header + b"ab"
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(JsplitError, match="has w of dtype F8_E4M3"):
        load_model(tmp_path)
