"""Files of weights: what is read, what is refused and how."""

import json
import sys

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from jsplit.models import CNN, load_weights, read_weights
from jsplit.models.weights.tensors import Source, fill
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([0.5, -2.0], np.float16),
    "count": np.array(7, np.int64),
    "flag": np.array([True, False]),
}


def assert_read(read):
    assert set(read) == set(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(read[name], tensor)
    assert read["half"].dtype == np.float32
    assert read["count"].dtype == np.int64


@pytest.mark.parametrize("given", ["model.safetensors", ""])
def test_reads_safetensors_file_or_folder(tmp_path, given):
    safetensors.numpy.save_file(TENSORS, tmp_path / "model.safetensors")
    assert_read(read_weights(tmp_path / given))


def test_reads_parts(tmp_path):
    first, second = dict(list(TENSORS.items())[:1]), dict(list(TENSORS.items())[1:])
    safetensors.numpy.save_file(first, tmp_path / "1.safetensors")
    safetensors.numpy.save_file(second, tmp_path / "2.safetensors")
    where = dict.fromkeys(first, "1.safetensors") | dict.fromkeys(
        second, "2.safetensors"
    )
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    assert_read(read_weights(tmp_path))
    (tmp_path / "2.safetensors").unlink()
    with pytest.raises(JsplitError, match=r"index\.json names 2\.safetensors, not"):
        read_weights(index)
    index.write_text("[]")
    with pytest.raises(JsplitError, match="is not an index of safetensors files"):
        read_weights(index)


def safetensors_bytes(dtype, shape, data):
    header = json.dumps(
        {"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + data


def test_reads_bfloat16_as_float32(tmp_path):
    values = np.array([1.5, -0.25, 3e38], ml_dtypes.bfloat16)
    file = tmp_path / "x.safetensors"
    file.write_bytes(safetensors_bytes("BF16", [3], values.tobytes()))
    read = read_weights(file)["x"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float32))


def test_refuses_an_unknown_dtype(tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(safetensors_bytes("F8_E4M3", [2], b"ab"))
    with pytest.raises(JsplitError, match="has x of dtype F8_E4M3"):
        read_weights(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.safetensors", None, r"cannot read .*x\.safetensors: No such file"),
        ("x.safetensors", b"abc", r"truncated or not safetensors"),
        ("x.bin", None, r"cannot read .*x\.bin: No such file"),
        ("x.h5", b"abc", r"weights must end in \.safetensors, .*x\.h5"),
    ],
)
def test_refuses_other_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(JsplitError, match=message):
        read_weights(tmp_path / name)


def test_refuses_a_truncated_file_and_an_empty_folder(tmp_path):
    with pytest.raises(JsplitError, match=r"has none of .*pytorch_model\.bin"):
        read_weights(tmp_path)
    content = safetensors.numpy.save(TENSORS)
    (tmp_path / "x.safetensors").write_bytes(content[:-4])
    with pytest.raises(JsplitError, match="truncated or not safetensors"):
        read_weights(tmp_path / "x.safetensors")


def test_without_torch_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "x.bin").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(JsplitError, match=r"x\.bin needs torch.*pip install torch, or"):
        read_weights(tmp_path / "x.bin")


@pytest.mark.parametrize("wrapped", [False, True])
def test_reads_pytorch_file(tmp_path, wrapped):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(x.copy()) for name, x in TENSORS.items()}
    tensors["half"] = tensors["half"].bfloat16()
    torch.save({"state_dict": tensors} if wrapped else tensors, tmp_path / "x.pt")
    assert_read(read_weights(tmp_path / "x.pt"))


def test_refuses_other_pytorch_files(tmp_path):
    torch = pytest.importorskip("torch")
    file = tmp_path / "x.bin"
    torch.save([1, 2], file)
    with pytest.raises(JsplitError, match="not a PyTorch file of named tensors"):
        read_weights(file)
    torch.save({"f": print}, file)  # code, which weights_only refuses to load
    with pytest.raises(JsplitError, match="not a PyTorch file of weights") as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)
    torch.save({"a": torch.ones(100_000)}, file)
    whole = file.read_bytes()
    for kept in (0, 300, len(whole) // 2, len(whole) - 500, len(whole) - 1):
        file.write_bytes(whole[:kept])
        with pytest.raises(JsplitError, match="truncated or not a PyTorch file"):
            read_weights(file)


class Pair(nnx.Module):
    def __init__(self):
        self.both = nnx.Param(np.zeros((2, 6), np.float32))
        self.kept = nnx.Param(np.ones(2, np.float32))


SOURCES = {"both": Source(("left", "right"), (1, 0))}
PARTS = {"left": np.arange(6.0).reshape(3, 2), "right": np.ones((3, 2))}


def test_fill_transposes_and_joins():
    pair = Pair()
    fill(pair, SOURCES, PARTS, "file")
    np.testing.assert_array_equal(
        pair.both[...], np.concatenate([PARTS["left"].T, PARTS["right"].T], axis=1)
    )
    assert pair.both[...].dtype == np.float32
    np.testing.assert_array_equal(pair.kept[...], [1, 1])


def test_fill_names_every_misfit_and_changes_nothing():
    pair = Pair()
    wrong = {"left": PARTS["left"].T, "extra": np.zeros(1)}
    message = (
        r"file does not fit: missing right; unexpected extra; "
        r"misshapen left \[2, 3\] for \[3, 2\]"
    )
    with pytest.raises(JsplitError, match=message):
        fill(pair, SOURCES, wrong, "file")
    np.testing.assert_array_equal(pair.both[...], np.zeros((2, 6)))


def test_load_weights_refuses_networks_without_a_loader(tmp_path):
    with pytest.raises(JsplitError, match=r"model must be one of .*BERT.*, got CNN"):
        load_weights(CNN(3, widths=(4, 4), rngs=nnx.Rngs(0)), tmp_path)
