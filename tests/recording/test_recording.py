import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.data import Dataset
from jsplit.models import CNN, MultiExit, quantise
from jsplit.recording import full_pass, measure_layers, record
from jsplit.recording.full_pass import _compiled_pass, default_batch_size
from jsplit.traces.calibration import expected_calibration_error
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

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
    record(model, DATA, batch_size=10)
    before = _compiled_pass()._cache_size()
    record(CNN(3, widths=(4, 8), rngs=nnx.Rngs(7)), DATA, batch_size=10)
    assert _compiled_pass()._cache_size() == before


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
    assert set(meta["versions"]) == {"flax", "jax", "jsplit", "numpy", "python"}
    assert meta["split_bytes"] == [8 * 8 * 4 * 4, 4 * 4 * 8 * 4]


def test_statistics_are_those_of_the_logits(model):
    trace = record(model, DATA, keep_logits=True)
    assert trace.logits.dtype == np.float32
    same = Trace.from_logits(trace.logits, DATA.labels)
    np.testing.assert_allclose(trace.confidence, same.confidence, rtol=5e-7)
    np.testing.assert_allclose(trace.entropy, same.entropy, atol=5e-7)
    np.testing.assert_array_equal(trace.prediction, same.prediction)
    assert record(model, DATA).logits is None


def test_four_devices_share_a_batch_and_change_nothing():
    """In a fresh process: the number of devices is fixed once JAX has started."""
    script = """if True:
        import os
        os.environ["JSPLIT_CPU_DEVICES"] = "4"
        import jax, jsplit, numpy as np
        from flax import nnx
        devices = jax.devices()
        assert len(devices) == 4
        model = jsplit.models.CNN(3, widths=(4, 8), rngs=nnx.Rngs(0))
        data = np.random.default_rng(0).random((23, 8, 8, 1)), np.zeros(23, int)
        def noisy(image, key):
            return image + 0.1 * jax.random.normal(key, image.shape)
        one, four = (
            jsplit.record(
                model, data, batch_size=9, quantise=4, transform=noisy, devices=some)
            for some in (devices[:1], devices))
        for name in "confidence", "entropy", "remote_confidence":
            left, right = getattr(one, name), getattr(four, name)
            np.testing.assert_allclose(left, right, atol=1e-6)
        np.testing.assert_array_equal(one.prediction, four.prediction)
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},  # quick_compile
    )
    assert done.returncode == 0, done.stderr


def test_memory_map_of_bytes_is_read_batch_by_batch(model, tmp_path):
    images = np.lib.format.open_memmap(
        tmp_path / "x.npy", "w+", np.uint8, (23, 8, 8, 1)
    )
    images[:] = RNG.integers(0, 256, images.shape)

    def from_bytes(image, key):
        return image.astype(jnp.float32) / 255

    trace = record(model, (images, DATA.labels), batch_size=8, transform=from_bytes)
    whole = record(model, (images[:] / 255, DATA.labels))
    np.testing.assert_allclose(trace.confidence, whole.confidence, atol=1e-6)


def test_transform_draws_by_seed_and_position_alone(model):
    def noise(image, key):
        return image + jax.random.normal(key, image.shape)

    first = record(model, DATA, transform=noise, batch_size=10)
    again = record(model, DATA, transform=noise, batch_size=23, seed=0)
    other = record(model, DATA, transform=noise, seed=1)
    np.testing.assert_allclose(first.confidence, again.confidence, atol=1e-6)
    assert (first.confidence != other.confidence).any()
    assert (first.meta["seed"], other.meta["seed"]) == (0, 1)
    repeated = DATA.inputs[:1].repeat(23, axis=0)  # one image, noise of 23 kinds
    kinds = record(model, (repeated, DATA.labels), transform=noise).confidence[:, 0]
    assert len(set(kinds.tolist())) == 23


def test_remote_answers_are_those_of_the_tail_on_the_quantised_activation(model):
    trace = record(model, DATA, quantise=2, keep_logits=True, batch_size=10)
    alone = jax.jit(lambda model, x: model.tail(quantise(model.head(x, 1), 2), 1))
    shipped = np.asarray(alone(model, DATA.inputs))[:, -1]
    np.testing.assert_allclose(trace.remote_logits[:, 0], shipped, atol=1e-5)
    np.testing.assert_array_equal(
        trace.remote_correct[:, 0], shipped.argmax(-1) == DATA.labels
    )
    assert not trace.lossless
    assert trace.meta["quantise_bits"] == 2
    np.testing.assert_array_equal(trace.remote_logits[:, 1], trace.logits[:, 1])
    plain = record(model, DATA, batch_size=10)
    assert plain.lossless
    np.testing.assert_allclose(trace.confidence, plain.confidence, atol=1e-6)
    fine = record(model, DATA, quantise=16)
    np.testing.assert_allclose(
        fine.remote_confidence, plain.remote_confidence, atol=1e-4
    )


class Pooled(nnx.Module):
    """Scales what is not masked; the activation is a pair (hidden, mask)."""

    def __init__(self, rngs, first=False):
        self.linear, self.first = nnx.Linear(5, 5, rngs=rngs), first

    def __call__(self, h):
        hidden, mask = (h, h[:, :, 0] > 0) if self.first else h
        return jnp.tanh(self.linear(hidden)) * mask[:, :, None], mask


class Last(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, h):
        return self.linear(h[0].mean(axis=1))


def test_activations_may_be_pairs_of_numbers_and_mask():
    rngs = nnx.Rngs(0)
    blocks = [Pooled(rngs, first=i == 0) for i in range(4)]
    model = MultiExit(blocks, [Last(rngs) for _ in range(4)])
    inputs = RNG.normal(size=(11, 7, 5)).astype(np.float32)
    labels = RNG.integers(0, 3, 11)
    trace = record(model, (inputs, labels), quantise=3, keep_logits=True)

    @jax.jit(static_argnames="split")
    def alone(model, inputs, split):
        hidden, mask = model.head(inputs, split)
        return model.tail((quantise(hidden, 3), mask), split)

    for split in (1, 2, 3):
        shipped = alone(model, inputs, split)[:, -1]
        np.testing.assert_allclose(
            trace.remote_logits[:, split - 1], shipped, atol=1e-5
        )
    assert trace.meta["split_bytes"] == [7 * 5 * 4 + 1] * 4
    assert trace.meta["split_bytes_quantised"] == {
        "8": [35 + 8 + 1] * 4,
        "4": [18 + 8 + 1] * 4,
        "3": [14 + 8 + 1] * 4,
        "2": [9 + 8 + 1] * 4,
    }


def test_layers_add_up_to_the_full_pass(model):
    measured = measure_layers(model, DATA.inputs[:1])
    total = sum(measured["layer_flops"]) + sum(measured["head_flops"])
    full = jax.jit(lambda module, x: module(x)).lower(model, DATA.inputs[:1])
    assert total == pytest.approx(full.cost_analysis()["flops"], rel=0.01)


def test_calibration_error_is_in_the_metadata(model):
    trace = record(model, DATA)
    found = trace.meta["expected_calibration_error"]
    assert found == expected_calibration_error(trace).tolist()


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
        (DATA, {"quantise": 0}, r"quantise must be an integer from 1 to 16, got 0"),
        (DATA, {"devices": []}, r"devices must hold at least one device"),
        (DATA, {"seed": -1}, r"seed must be an integer from 0 .* got -1"),
        (DATA, {"transform": lambda x, key: (x, x)}, r"one array, got tuple"),
        (
            DATA,
            {"transform": lambda x, key: x / 0},
            r"finite .* sample 0 at exit 1",
        ),
    ],
)
def test_bad_arguments_are_refused(model, data, kwargs, message):
    with pytest.raises(JsplitError, match=message):
        record(model, data, **kwargs)


def test_labels_beyond_the_classes_are_refused_wherever_they_are(model):
    labels = np.zeros(23, int)
    labels[-1] = 3
    with pytest.raises(JsplitError, match="labels must be from 0 to 2, got 3"):
        record(model, (DATA.inputs, labels))


def test_a_function_has_no_halves_to_quantise_between():
    with pytest.raises(JsplitError, match=r"quantise needs .* MultiExit, got <lambda>"):
        record(lambda images: images[:, :2, :3, 0], DATA, quantise=8)


def test_single_exit_model_is_refused():
    with pytest.raises(JsplitError, match=r"model must return logits \[B, L, C\]"):
        record(lambda images: images[:, 0, :3, 0], DATA)


def test_batches_shrink_as_activations_grow():
    cpu, gpu = ([types.SimpleNamespace(platform=x)] * 4 for x in ("cpu", "gpu"))
    for sample_bytes, on_cpu, on_gpu in (
        (0, 1024, 1024),
        (2**17, 1024, 1024),
        (2**17 + 1, 512, 1024),
        (128 * 768 * 4, 256, 1024),
        (11 * 128 * 768 * 4, 16, 64),
        (2**40, 1, 1),
    ):
        assert default_batch_size(sample_bytes, cpu) == on_cpu
        assert default_batch_size(sample_bytes, gpu) == on_gpu


def test_quantised_recording_takes_smaller_batches(monkeypatch):
    """One copy for each split that something is shipped at; none where unknown."""
    model = CNN(3, widths=(4, 8, 8), rngs=nnx.Rngs(0))
    widest = max(measure_layers(model, DATA.inputs[:1])["split_bytes"])

    def asked(sample_bytes, devices):
        raise StopIteration(sample_bytes)

    monkeypatch.setattr(full_pass, "default_batch_size", asked)
    for net, bits, expected in (
        (model, None, widest),
        (model, 8, 2 * widest),
        (lambda x: model(x), None, 0),
    ):
        with pytest.raises(StopIteration) as stop:
            record(net, DATA, quantise=bits)
        assert stop.value.value == expected
