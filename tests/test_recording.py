import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.data import Dataset
from jsplit.models import CNN
from jsplit.recording import _call, measure_layers, record
from jsplit.types import JsplitError

RNG = np.random.default_rng(0)
DATA = Dataset(
    RNG.uniform(size=(23, 8, 8, 1)), RNG.integers(0, 3, 23), "toy", "test", 3
)


@pytest.fixture(scope="module")
def model():
    return CNN(3, widths=(4, 8), rngs=nnx.Rngs(0))


def test_record_equals_the_direct_call(model):
    trace = record(model, DATA)
    probability = np.asarray(jax.nn.softmax(model(DATA.inputs)))
    np.testing.assert_allclose(trace.confidence, probability.max(-1), atol=1e-6)
    np.testing.assert_array_equal(trace.prediction, probability.argmax(-1))
    np.testing.assert_array_equal(trace.label, DATA.labels)


def test_padding_and_batch_size_do_not_change_results(model):
    whole = record(model, DATA, batch_size=23)
    for batch_size in (10, 1, 1024):
        trace = record(model, DATA, batch_size=batch_size)
        np.testing.assert_allclose(trace.confidence, whole.confidence, atol=1e-6)
        np.testing.assert_array_equal(trace.correct, whole.correct)


def test_last_batch_and_new_weights_do_not_compile_again(model):
    record(model, DATA, batch_size=6)
    before = _call._cache_size()
    record(CNN(3, widths=(4, 8), rngs=nnx.Rngs(7)), DATA, batch_size=6)
    assert _call._cache_size() == before


def test_dropout_is_off_and_the_model_is_not_changed():
    model = CNN(3, widths=(4, 8), rngs=nnx.Rngs(0))
    dropout = nnx.Dropout(0.9, rngs=nnx.Rngs(0))
    model.heads[1] = nnx.Sequential(dropout, model.heads[1])
    first, second = record(model, DATA), record(model, DATA)
    np.testing.assert_array_equal(first.confidence, second.confidence)
    assert not dropout.deterministic


def test_metadata_says_where_the_trace_comes_from(model):
    meta = record(model, DATA, split="mine", seed=4).meta
    assert meta["model"] == "CNN"
    assert meta["dataset"] == "toy"
    assert meta["split"] == "mine"
    assert meta["seed"] == 4
    assert set(meta["versions"]) == {"jax", "flax", "jsplit"}
    assert meta["split_bytes"] == [8 * 8 * 4 * 4, 4 * 4 * 8 * 4]


def test_flops_cover_the_products_and_little_more(model):
    measured = measure_layers(model, DATA.inputs[:1])
    blocks = np.array([2 * 8 * 8 * 9 * 1 * 4, 2 * 4 * 4 * 9 * 4 * 8])
    heads = np.array([2 * 4 * 3, 2 * 8 * 3])
    extra = measured["layer_flops"] - blocks  # norm, ReLU
    assert ((extra > 0) & (extra < 20 * np.array([8 * 8 * 4, 4 * 4 * 8]))).all()
    extra = measured["head_flops"] - heads  # pool, bias
    assert ((extra > 0) & (extra < 2 * np.array([8 * 8 * 4, 4 * 4 * 8]))).all()


def test_any_function_can_be_recorded():
    def model(images):
        first = images.reshape(len(images), -1)[:, :3]
        return jnp.stack([first, 2 * first], axis=1)

    trace = record(model, (DATA.inputs, DATA.labels), batch_size=7)
    assert trace.confidence.shape == (23, 2)
    assert trace.meta["model"] == "model"
    assert "split_bytes" not in trace.meta
    assert "dataset" not in trace.meta


def test_progress_bar_is_shown_on_request(model, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    record(model, DATA)
    assert capsys.readouterr() == ("", "")
    record(model, DATA, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "recording" in err


@pytest.mark.parametrize(
    ("data", "kwargs", "message"),
    [
        (DATA, {"batch_size": 0}, r"batch_size must be an integer >= 1, got 0"),
        (DATA.inputs, {}, r"data must be a Dataset or a pair .* got ndarray"),
        ((DATA.inputs, DATA.labels + 1), {}, r"labels must be from 0 to 2, got 3"),
        ((DATA.inputs[:0], DATA.labels[:0]), {}, r"inputs must have .* N >= 1"),
    ],
)
def test_bad_arguments_are_refused(model, data, kwargs, message):
    with pytest.raises(JsplitError, match=message):
        record(model, data, **kwargs)


def test_single_exit_model_is_refused():
    with pytest.raises(JsplitError, match=r"model must return logits \[B, L, C\]"):
        record(lambda images: images[:, 0, :3, 0], DATA)
