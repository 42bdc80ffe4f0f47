"""One step of training against NumPy, numbers of a step, devices, augmentation."""

import itertools
import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from thin_mobilenet import thin_mobilenet

from jsplit.data import augment
from jsplit.models import CNN, MultiExit, ResNet, SparseMLP
from jsplit.training import Settings, make_settings, step, train
from jsplit.training.loop import Training, _hold_out
from jsplit.training.loss import exit_losses
from jsplit.training.optimizer import rates_at
from jsplit.training.step import Placement, default_devices
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float32)
Y = np.array([0, 1, 2, 2, 1, 0])
WEIGHTS = (0.5, 2.0)
SMOOTHING = 0.2


class Linear(MultiExit):
    """h1 = x A1, h2 = h1 A2, logits_i = h_i W_i + b_i."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        blocks = [nnx.Linear(4, 4, use_bias=False, rngs=rngs) for _ in range(2)]
        super().__init__(blocks, [nnx.Linear(4, 3, rngs=rngs) for _ in range(2)])

    def arrays(self):
        """A1, A2, W1, b1, W2, b2."""
        blocks = [block.kernel for block in self.blocks]
        heads = [x for head in self.heads for x in (head.kernel, head.bias)]
        return [np.asarray(x[...], np.float64) for x in (*blocks, *heads)]


def gradient(arrays):
    """By hand: of sum_i w_i mean_b CE_i with smoothed targets."""
    a1, a2, w1, b1, w2, b2 = arrays
    h1 = X @ a1
    h2 = h1 @ a2
    target = np.eye(3)[Y] * (1 - SMOOTHING) + SMOOTHING / 3

    def error(h, w, b, weight):
        z = np.exp(h @ w + b)
        return weight * (z / z.sum(-1, keepdims=True) - target) / len(X)

    e1, e2 = error(h1, w1, b1, WEIGHTS[0]), error(h2, w2, b2, WEIGHTS[1])
    d2 = e2 @ w2.T
    d1 = e1 @ w1.T + d2 @ a2.T
    return [X.T @ d1, h1.T @ d2, h1.T @ e1, e1.sum(0), h2.T @ e2, e2.sum(0)]


def expected(kind, decay, clip, steps=3):
    """Weights after some steps on the whole of X; by the published updates."""
    arrays = Linear().arrays()
    rates = [0.01, 0.01, 0.1, 0.1, 0.1, 0.1]
    decays = [1, 1, 1, decay == "all", 1, decay == "all"]
    m = [np.zeros_like(x) for x in arrays]
    v = [np.zeros_like(x) for x in arrays]
    for t in range(1, steps + 1):
        grads = gradient(arrays)
        if clip is not None:
            norm = np.sqrt(sum((g**2).sum() for g in grads))
            grads = [g * min(1, clip / norm) for g in grads]
        for i, (x, g) in enumerate(zip(arrays, grads, strict=True)):
            pull = 0.3 * decays[i] * x
            if kind != "adamw":
                g = g + pull
            if kind == "sgd":
                m[i] = 0.9 * m[i] + g
                move = m[i]
            else:
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g**2
                move = m[i] / (1 - 0.9**t)
                move = move / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
            if kind == "adamw":
                move = move + pull
            arrays[i] = x - rates[i] * move
    return arrays


@pytest.mark.parametrize(
    ("kind", "decay", "clip"),
    [
        ("adamw", "weights", None),
        ("adam", "all", None),
        ("sgd", "weights", None),
        ("sgd", "all", 0.5),
    ],
)
def test_steps_equal_numpy(kind, decay, clip):
    model = Linear()
    log = train(
        model,
        X,
        Y,
        num_epochs=3,
        batch_size=6,
        optimizer=kind,
        learning_rate=0.01,
        head_learning_rate=0.1,
        weight_decay=0.3,
        decay=decay,
        schedule="constant",
        warmup=0.0,
        clip_norm=clip,
        exit_weights=WEIGHTS,
        label_smoothing=SMOOTHING,
        progress=False,
    )
    for found, wanted in zip(model.arrays(), expected(kind, decay, clip), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    assert log.loss[-1] < log.loss[0]


def test_label_smoothing_is_cross_entropy_with_the_smoothed_target():
    logits = RNG.normal(size=(5, 2, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 0, 1])
    target = 0.9 * np.eye(3)[labels] + 0.1 / 3
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = -(target[:, None] * log_p).sum(-1)
    found = exit_losses(jnp.asarray(logits), jnp.asarray(labels), 0.1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_rates_rise_and_fall(schedule, shares):
    settings = Settings(
        schedule=schedule, warmup=1 / 3, learning_rate=2.0, head_learning_rate=10.0
    )
    rates = [rates_at(settings, step, 6) for step in range(6)]
    np.testing.assert_allclose([r.blocks for r in rates], np.array(shares) * 2, 1e-5)
    np.testing.assert_allclose([r.heads for r in rates], np.array(shares) * 10, 1e-5)


def test_presets_are_what_was_published():
    isplitee = make_settings("isplitee")
    assert (isplitee.learning_rate, isplitee.head_learning_rate) == (1.5e-4, 1e-2)
    assert isplitee.exit_weights == (1, 1, 1, 0.7, 0.7, 0.7, 0.5)
    splitee = make_settings("splitee", num_epochs=1)
    assert (splitee.learning_rate, splitee.weight_decay) == (2e-5, 0.1)
    assert (splitee.warmup, splitee.num_epochs) == (0.06, 1)
    with pytest.raises(JsplitError, match="did you mean 'isplitee'"):
        make_settings("isplite")


IMAGES = RNG.integers(1, 256, (16, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crop_is_a_window_of_the_bordered_image(dtype):
    images = IMAGES.astype(dtype)
    found = np.asarray(augment.random_crop(images, jax.random.key(0)))
    assert found.dtype == dtype
    bordered = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    corners = set()
    for image, border in zip(found, bordered, strict=True):
        fits = [
            (i, j)
            for i in range(9)
            for j in range(9)
            if (border[i : i + 8, j : j + 8] == image).all()
        ]
        assert len(fits) == 1
        corners.update(fits)
    assert len(corners) > 8


def test_flip_mirrors_about_half():
    found = np.asarray(augment.random_flip(IMAGES, jax.random.key(1)))
    assert found.dtype == np.uint8
    same = (found == IMAGES).all((1, 2, 3))
    mirrored = (found == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 3 <= mirrored.sum() <= 13


class Normed(CNN):
    """Batch norm, whose statistics must be those of the whole batch."""

    def __init__(self):
        super().__init__(3, in_channels=3, widths=(8, 8), rngs=nnx.Rngs(0))
        norm = nnx.BatchNorm(8, rngs=nnx.Rngs(0))
        self.blocks[0] = nnx.Sequential(self.blocks[0], norm)


def fit(model, **changes):
    settings = {"num_epochs": 2, "batch_size": 8, "progress": False, **changes}
    return train(model, IMAGES, np.arange(16) % 3, **settings)


def state(model):
    return jax.tree.leaves(nnx.state(model, nnx.Not(nnx.RngState)))


def test_four_devices_change_rounding_only():
    """In a fresh process: the number of devices is fixed once JAX has started."""
    script = """if True:
        import os
        os.environ["JSPLIT_CPU_DEVICES"] = "4"
        import jax, numpy as np
        from test_training_step import Normed, fit, state
        models = Normed(), Normed()
        assert len(jax.devices()) == 4
        for model, count in zip(models, (1, 4)):
            # One epoch of SGD: Adam divides by gradients, which magnifies rounding.
            fit(model, num_epochs=1, optimizer="sgd", augment="crop_flip",
                devices=jax.devices()[:count])
        for one, four in zip(*map(state, models)):
            np.testing.assert_allclose(one, four, rtol=1e-5, atol=1e-6)
            assert one.devices() == four.devices()  # back where they were
        assert np.abs(models[0].blocks[0].layers[1].mean[...]).max() > 0
    """
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=200,
        env={
            **os.environ,
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # quick_compile
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )
    assert done.returncode == 0, done.stderr


def test_accelerators_are_all_used_and_a_cpu_is_one_device(monkeypatch):
    fake = [types.SimpleNamespace(platform="gpu", id=i) for i in range(8)]
    monkeypatch.setattr(jax, "devices", lambda: fake)
    assert default_devices() == fake
    for one in fake:
        one.platform = "cpu"
    assert default_devices() == fake[:1]


def test_devices_divide_a_batch(monkeypatch):
    every = jax.devices()[:2]
    monkeypatch.setattr(step, "default_devices", lambda: every)
    for batch_size in range(1, 8):
        count = Placement(batch_size).num_devices
        assert batch_size % count == 0
        assert count == max(n for n in (1, len(every)) if batch_size % n == 0)
    with pytest.raises(JsplitError, match=r"must divide a batch, here of 7 .* got 2"):
        Placement(7, [None, None])
    with pytest.raises(JsplitError, match=r"must divide a batch, .* got 0"):
        Placement(7, [])


def test_bfloat16_computes_lower_and_keeps_float32():
    model, low = Normed(), Normed()
    log, low_log = fit(model), fit(low, bf16=True)
    assert {leaf.dtype for leaf in state(low)} == {jnp.dtype("float32")}
    assert (low_log.loss != log.loss).all()
    np.testing.assert_allclose(low_log.loss, log.loss, rtol=0.05)
    assert low.heads[0].linear.dtype is None  # as it was


@pytest.mark.parametrize(
    "build",
    [
        lambda rngs: thin_mobilenet(stem="cifar"),
        lambda rngs: ResNet(3, widths=(2, 3), blocks_per_stage=1, rngs=rngs),
        lambda rngs: SparseMLP(3, num_features=192, out_degrees=(5, 8, 3), rngs=rngs),
        lambda rngs: CNN(3, in_channels=3, widths=(2, 3), rngs=rngs),
    ],
)
def test_bfloat16_reaches_every_block(build):
    images = np.zeros((4, 8, 8, 3), np.uint8)
    settings = Settings(bf16=True, batch_size=4)
    begun = Training(build(nnx.Rngs(0)), images, np.zeros(4, int), settings, None)

    def apply(h, block):
        return block(h)

    def activations(params):
        low = step._lower(params)
        model = nnx.merge(begun.graphdef, low, begun.state.rest, copy=True)
        return list(itertools.accumulate(model.blocks, apply, initial=images))[1:]

    for activation in jax.eval_shape(activations, begun.state.params):
        assert activation.dtype == jnp.bfloat16


def test_patience_stops_and_keeps_the_best_weights():
    """Labels are noise, so that the loss on what is held out soon rises."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    settings = Settings(
        num_epochs=50,
        batch_size=8,
        learning_rate=0.3,
        schedule="constant",
        validation=0.3,
        patience=3,
    )
    model = Linear()
    log = train(model, x, y, settings, progress=False)
    assert log.stopped == "patience"
    assert len(log.loss) == log.best_epoch + 3
    assert log.validation_accuracy.shape == (len(log.loss), 2)
    assert log.best_epoch == np.argmin(log.validation_loss) + 1

    held_out = _hold_out(settings, 60)[1]
    assert len(held_out) == 18
    a1, a2, w1, b1, w2, b2 = model.arrays()
    h1 = x[held_out] @ a1
    loss = 0.0
    for logits in (h1 @ w1 + b1, h1 @ a2 @ w2 + b2):
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        loss -= log_p[np.arange(18), y[held_out]].mean() / 2
    assert loss == pytest.approx(min(log.validation_loss), rel=1e-4)


def test_time_limit_ends_training():
    log = train(Linear(), X, Y, num_epochs=10**6, max_minutes=1e-3, progress=False)
    assert log.stopped == "max_minutes"


def test_augmentation_is_for_images():
    with pytest.raises(JsplitError, match="augment must be 'none' for inputs"):
        train(Linear(), X, Y, augment="crop", progress=False)
