"""BERT against `transformers`, live where it is installed and from its numbers."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from make_bert_reference import (
    FILE,
    NUM_CLASSES,
    SIZES,
    bert_model,
    exits,
    outputs,
    texts,
)

from jsplit.models import BERT, load_weights
from jsplit.types import JsplitError

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("quick_compile")]


def build(**changes):
    return BERT(NUM_CLASSES, **{**SIZES, **changes}, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def stored():
    with np.load(FILE) as file:
        arrays = dict(file)
    weights = {k[8:]: v for k, v in arrays.items() if k.startswith("weights/")}
    return arrays, weights


@jax.jit
def run(model, x):
    """Hidden states after every layer, and all logits."""
    hidden, h = [], x
    for block in model.blocks:
        h = block(h)
        hidden.append(h[0])
    return hidden, model(x)


def assert_equal(model, tokens, hidden, logits):
    """Padding positions are nobody's business: compared where there are tokens."""
    ours_hidden, ours_logits = run(model, tokens)
    real = tokens[:, 0] != 0
    assert np.ptp(np.asarray(logits), axis=0).min() > 0.05  # or agreement is cheap
    for ours, theirs in zip(ours_hidden, hidden, strict=True):
        np.testing.assert_allclose(ours[real], theirs[real], rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours_logits, logits, rtol=0, atol=1e-4)


def test_equals_the_stored_numbers_of_transformers(stored, tmp_path):
    arrays, weights = stored
    safetensors.numpy.save_file(weights, tmp_path / "model.safetensors")
    model = build()
    load_weights(model, tmp_path / "model.safetensors")
    assert_equal(model, arrays["tokens"], arrays["hidden"], arrays["logits"])


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_equals_transformers(tmp_path, suffix, attention):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    sizes = {"hidden": 24, "num_heads": 3, "num_layers": 2, "max_length": 20}
    theirs, named = bert_model(attention, **sizes), exits(2, 24)
    weights = {k: v for k, v in theirs.state_dict().items() if "pooler" not in k}
    weights = {f"elasticbert.{k}": v for k, v in weights.items()} | named
    file = tmp_path / f"model.{suffix}"
    if suffix == "bin":
        torch.save(weights, file)
    else:
        safetensors.numpy.save_file({k: v.numpy() for k, v in weights.items()}, file)
    model = build(**sizes)
    load_weights(model, file)
    tokens = texts(5, 17)
    assert_equal(model, tokens, *outputs(theirs, named, tokens))


def test_parameter_count_is_that_of_the_stored_weights(stored):
    params = jax.tree.leaves(nnx.state(build(), nnx.Param))
    assert sum(x.size for x in params) == sum(x.size for x in stored[1].values())


def test_parameter_count_is_that_of_transformers():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pooler = SIZES["hidden"] * (SIZES["hidden"] + 1)
    theirs = sum(p.numel() for p in bert_model().parameters()) - pooler
    heads = pooler + NUM_CLASSES * (SIZES["hidden"] + 1)
    params = jax.tree.leaves(nnx.state(build(), nnx.Param))
    assert sum(x.size for x in params) == theirs + SIZES["num_layers"] * heads


def plain(weights):
    """The same as a classifier's file of BERT: one pooler, old names, extras."""
    renamed = {}
    last = SIZES["num_layers"] - 1
    for name, tensor in weights.items():
        if "encoder.pooler." in name or name.startswith("classifiers."):
            if f".{last}." not in name:
                continue
            name = name.replace(f"encoder.pooler.{last}.", "pooler.")
            name = name.replace(f"classifiers.{last}.", "classifier.")
        name = name.replace("elasticbert.", "bert.")
        if "LayerNorm" in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        renamed[name] = tensor
    renamed["bert.embeddings.position_ids"] = np.arange(16)[None]
    renamed["cls.predictions.bias"] = np.zeros(40, np.float32)
    return renamed


def test_plain_bert_fills_the_last_exit_only_if_told(stored, tmp_path):
    arrays, weights = stored
    file = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(plain(weights), file)
    model = build()
    before = np.asarray(model.heads[0].pooler.kernel[...])
    message = r"missing encoder\.pooler\.0\.dense\.weight, .*; random_exits=True keeps"
    with pytest.raises(JsplitError, match=message):
        load_weights(model, file)
    load_weights(model, file, random_exits=True)
    np.testing.assert_array_equal(model.heads[0].pooler.kernel[...], before)
    logits = run(model, arrays["tokens"])[1]
    np.testing.assert_allclose(logits[:, -1], arrays["logits"][:, -1], atol=1e-4)
    assert np.abs(logits[:, 0] - arrays["logits"][:, 0]).max() > 0.1


@pytest.mark.parametrize("part", ["pooler.dense.bias", "classifier.bias"])
def test_half_an_exit_is_refused(stored, tmp_path, part):
    weights = plain(stored[1])
    (name,) = (name for name in weights if name.endswith(part))
    del weights[name]
    file = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(weights, file)
    with pytest.raises(JsplitError, match=f"missing {part}$"):
        load_weights(build(), file, random_exits=True)


def test_names_missing_unexpected_and_misshapen_tensors(stored, tmp_path):
    weights = dict(stored[1])
    del weights["elasticbert.encoder.layer.1.attention.self.key.bias"]
    weights["elasticbert.encoder.layer.7.output.dense.bias"] = np.zeros(16)
    weights["classifiers.0.bias"] = np.zeros(5, np.float32)
    file = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(weights, file)
    message = (
        r"missing encoder\.layer\.1\.attention\.self\.key\.bias; "
        r"unexpected encoder\.layer\.7\.output\.dense\.bias; "
        r"misshapen classifiers\.0\.bias \[5\] for \[3\]$"
    )
    with pytest.raises(JsplitError, match=message):
        load_weights(build(), file)
