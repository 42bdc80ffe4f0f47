"""The BERT encoder by itself: sizes, padding, exits, halves, files, training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.models import BERT, load_model, save_model
from jsplit.recording import measure_layers, record
from jsplit.training import train
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

SIZES = {
    "vocab_size": 50,
    "num_layers": 3,
    "hidden": 16,
    "num_heads": 2,
    "intermediate": 40,
    "max_length": 32,
}


def build(**changes):
    return BERT(3, **{**SIZES, **changes}, rngs=nnx.Rngs(0))


run = jax.jit(lambda model, x: model(x))  # far fewer compilations than op by op


def texts(num=4, length=12, *, seed=0):
    """Random texts of different lengths, two segments each."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, SIZES["vocab_size"], (num, length))
    ends = rng.integers(4, length + 1, num)
    ids = np.where(np.arange(length) < ends[:, None], ids, 0)
    segments = np.where(np.arange(length) >= ends[:, None] // 2, 1, 0) * (ids > 0)
    return np.stack([ids, segments], axis=1).astype(np.int32)


@pytest.fixture(scope="module")
def model():
    """A network whose logits differ visibly: initial weights give nearly none."""
    return louder(build())


def louder(model):
    for _, param in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        if param[...].ndim == 2:
            param[...] = 10 * param[...]
    return model


def num_params(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("sizes", "total"),
    # BERT-base without its pooler has 108,891,648 weights: the published 110 million.
    [({"vocab_size": 30522}, 108_891_648), (SIZES, None)],
)
def test_parameter_count(sizes, total):
    model = nnx.eval_shape(lambda: BERT(3, **sizes, rngs=nnx.Rngs(0)))
    d, v = sizes.get("hidden", 768), sizes["vocab_size"]
    f, n = sizes.get("intermediate", 4 * d), sizes.get("num_layers", 12)
    embeddings = (v + sizes.get("max_length", 512) + 2) * d + 2 * d
    layer = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 4 * d
    exits = n * (d * d + d + 3 * d + 3)
    assert num_params(model) == embeddings + n * layer + exits
    assert total in (None, embeddings + n * layer)
    assert model.num_exits == n


def test_logits_are_float32_and_finite_even_for_an_empty_text(model):
    x = texts()
    x[1] = 0
    logits = run(model, x)
    assert logits.shape == (4, 3, 3)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()


def test_padding_does_not_change_logits(model):
    x = texts(length=16)
    longer = np.pad(x, ((0, 0), (0, 0), (0, 16)))
    np.testing.assert_allclose(run(model, longer), run(model, x), rtol=1e-5, atol=1e-5)


def test_tokens_segments_and_order_change_logits(model):
    x = texts()
    before = np.asarray(run(model, x))
    other_token, other_segment, other_order = x.copy(), x.copy(), x.copy()
    other_token[:, 0, 2] = x[:, 0, 2] % 49 + 1
    other_segment[:, 1, 1] = 1 - x[:, 1, 1]
    other_order[:, 0, 1:3] = x[:, 0, 2:0:-1]
    for changed in (other_token, other_segment, other_order):
        assert np.abs(np.asarray(run(model, changed)) - before).max() > 1e-2


def test_logits_do_not_depend_on_the_batch(model):
    x = texts()
    one_by_one = jnp.concatenate([run(model, text[None]) for text in x])
    np.testing.assert_allclose(run(model, x), one_by_one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("split", [1, 2])
def test_head_and_tail_compose_to_the_full_pass(model, split):
    x = texts()
    h = jax.jit(lambda model, x: model.head(x, split))(model, x)
    tail = jax.jit(lambda model, h: model.tail(h, split))(model, h)
    np.testing.assert_allclose(tail, run(model, x)[:, split:], rtol=1e-5, atol=1e-5)


def test_exit_unchanged_when_later_layers_change():
    model, x = louder(build()), texts()
    before = np.asarray(run(model, x))
    kernel = model.blocks[1].narrow.kernel
    kernel[...] = -kernel[...]
    after = np.asarray(run(model, x))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1:] - before[:, 1:]).max(axis=(0, 2)).min() > 1e-3


def test_flops_are_the_products_and_little_more():
    model, length = build(hidden=64, intermediate=256, num_heads=4), 32
    measured = measure_layers(model, texts(1, length))
    d, f = 64, 256
    products = 2 * length * (4 * d * d + 2 * d * f) + 4 * length * length * d
    flops = np.array(measured["layer_flops"])
    assert (flops >= products).all()
    assert (flops <= 1.1 * products).all()
    head = np.array(measured["head_flops"])
    assert (head >= 2 * d * d + 2 * d * 3).all()
    assert (head <= 1.1 * (2 * d * d + 2 * d * 3)).all()
    # Hidden states, and a bit of mask per position.
    assert measured["split_bytes"] == [length * 4 * d + length // 8] * 3


def test_saved_and_loaded_network_gives_the_same_logits(model, tmp_path):
    save_model(model, tmp_path)
    loaded, _ = load_model(tmp_path)
    assert loaded.arguments == model.arguments
    np.testing.assert_array_equal(run(loaded, texts()), run(model, texts()))


def test_bfloat16_is_close_and_gives_float32():
    x = texts()
    exact, rough = louder(build()), louder(build(dtype="bfloat16"))
    logits = run(rough, x)
    assert logits.dtype == jnp.float32
    assert jax.eval_shape(lambda x: rough.head(x, 1), x)[0].dtype == jnp.bfloat16
    expected = run(exact, x)
    difference = np.abs(np.asarray(logits - expected)).max()
    assert 0 < difference < 0.15 * np.abs(np.asarray(expected)).max()


def test_learns_with_dropout_and_records_without():
    """The first token decides the class, which attention must carry to [CLS]."""
    x = texts(48, seed=1)
    x[:, :, 0] = [2, 0]
    labels = (x[:, 0, 2] % 2).astype(np.int32)
    model = build(num_layers=2)
    log = train(
        model,
        x,
        labels,
        num_epochs=12,
        batch_size=8,
        learning_rate=3e-3,
        progress=False,
    )
    assert log.loss[-1] < 0.9 * log.loss[0]
    first, second = record(model, (x, labels)), record(model, (x, labels))
    np.testing.assert_array_equal(first.confidence, second.confidence)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 15}, r"hidden must be a multiple of num_heads = 2, got 15"),
        ({"num_layers": 1}, r"num_layers must be an integer >= 2, got 1"),
        ({"dropout": 1.0}, r"dropout must be below 1, got 1"),
        ({"dtype": "float16"}, r"dtype must be one of float32, bfloat16, got"),
        ({"intermediate": 0}, r"intermediate must be an integer >= 1, got 0"),
    ],
)
def test_refuses_bad_sizes(changes, message):
    with pytest.raises(JsplitError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 12), np.int32), r"texts must be integers .* got int32 \[2, 12\]"),
        (np.zeros((2, 2, 12), np.float32), r"texts must be integers .* got float32"),
        (np.zeros((2, 2, 40), np.int32), r"at most max_length = 32 tokens, got 40"),
    ],
)
def test_refuses_bad_texts(model, x, message):
    with pytest.raises(JsplitError, match=message):
        model(x)
