import jax
import numpy as np
import pytest
from flax import nnx

from jsplit.data import load
from jsplit.models import CNN
from jsplit.training import loop, make_settings, train
from jsplit.training.loss import joint_loss
from jsplit.training.step import take_step
from jsplit.types import JsplitError

IMAGES = np.random.default_rng(0).uniform(size=(20, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(20) % 3


def tiny(seed=0):
    return CNN(3, widths=(2, 2), rngs=nnx.Rngs(seed))


def weights(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]


def fit(model, seed=0, **kwargs):
    kwargs = {"num_epochs": 2, "batch_size": 8, "progress": False, **kwargs}
    return train(model, IMAGES, LABELS, seed=seed, **kwargs)


def test_joint_loss_equals_numpy():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, 3, 5)).astype(np.float32)
    labels = np.array([0, 4, 2, 2])
    w = np.array([0.2, 0.0, 1.5], np.float32)
    expected = 0.0
    for i in range(3):
        for b in range(4):
            p = np.exp(logits[b, i]) / np.exp(logits[b, i]).sum()
            expected -= w[i] * np.log(p[labels[b]]) / 4
    assert float(joint_loss(logits, labels, w)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.core
def test_same_seed_gives_equal_weights_and_other_seed_does_not():
    models = [tiny(), tiny(), tiny()]
    logs = [fit(model, seed) for model, seed in zip(models, (0, 0, 1), strict=True)]
    first, same, other = map(weights, models)
    assert all((a == b).all() for a, b in zip(first, same, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    np.testing.assert_array_equal(logs[0].loss, logs[1].loss)
    assert logs[0].loss.shape == (2,)
    assert logs[0].accuracy.shape == (2, 2)


def test_new_numbers_do_not_compile_again():
    fit(tiny())
    before = take_step._cache_size()
    fit(tiny(5), seed=3, num_epochs=4, learning_rate=1e-3, exit_weights=(1, 2))
    assert take_step._cache_size() == before


@pytest.mark.core
def test_every_epoch_shows_what_is_not_held_out_once_in_an_order_of_its_own(
    monkeypatch,
):
    shown = []

    def record(state, inputs, labels, *numbers, **options):
        shown.append(np.asarray(inputs)[:, 0, 0, 0])
        return state

    monkeypatch.setattr(loop, "take_step", record)
    inputs = np.zeros((20, 4, 4, 1), np.float32)
    inputs[:, 0, 0, 0] = np.arange(20)
    settings = make_settings(num_epochs=3, batch_size=5, validation=0.25)
    training = loop.Training(tiny(), inputs, LABELS, settings, None)
    training.run(progress=False)
    epochs = np.array(shown).reshape(3, 15)
    for epoch in epochs:
        assert set(epoch) == set(range(20)) - set(training.held_out)
    assert len(training.held_out) == 5
    assert len(np.unique(epochs, axis=0)) == 3


def test_exit_weight_zero_leaves_that_head_alone():
    model = tiny()
    before = np.asarray(model.heads[0].linear.bias[...])
    fit(model, exit_weights=(0.0, 1.0))
    np.testing.assert_array_equal(model.heads[0].linear.bias[...], before)
    assert np.abs(model.heads[1].linear.bias[...]).max() > 0


def test_batch_larger_than_the_data_is_cut():
    assert np.isfinite(fit(tiny(), batch_size=1000).loss).all()


def test_model_with_dropout_and_batch_norm_trains_and_keeps_its_mode():
    class Block(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.BatchNorm(1, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

        def __call__(self, x):
            return self.dropout(self.norm(x))

    model = tiny()
    model.blocks[0] = nnx.Sequential(Block(nnx.Rngs(0)), model.blocks[0])
    fit(model)
    block = model.blocks[0].layers[0]
    assert block.dropout.deterministic
    assert abs(float(block.norm.mean[...][0])) > 0


def test_progress_bar_shows_loss_and_accuracy(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    fit(tiny(), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "training" in err
    assert "exits" in err
    monkeypatch.delenv("FORCE_COLOR")
    fit(tiny(), progress=True)
    assert [line[:9] for line in capsys.readouterr().err.splitlines()] == [
        "epoch 1/2",
        "epoch 2/2",
    ]


def test_digits_are_learned_and_later_exits_are_better():
    data, test = load("digits", "train"), load("digits", "test")
    model = CNN(10, rngs=nnx.Rngs(0))
    log = train(model, data.inputs, data.labels, num_epochs=15, progress=False)
    logits = np.asarray(jax.jit(lambda m, x: m(x))(model, test.inputs))
    accuracy = (logits.argmax(-1) == test.labels[:, None]).mean(0)
    assert accuracy[-1] > 0.93
    assert accuracy[0] < 0.8
    assert (np.diff(accuracy[:4]) > 0).all()
    assert log.loss[-1] < log.loss[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_epochs": 0}, r"num_epochs must be an integer >= 1, got 0"),
        ({"batch_size": 0}, r"batch_size must be an integer >= 1, got 0"),
        ({"learning_rate": 0.0}, r"learning_rate must be > 0, got 0.0"),
        ({"seed": -1}, r"seed must be an integer from 0 to 4294967295, got -1"),
        ({"exit_weights": (1, 1, 1)}, r"exit_weights must be 2 numbers, one per exit"),
        ({"exit_weights": (0, 0)}, r"exit_weights must be .* not all 0"),
        ({"exit_weights": ("a", 1)}, r"exit_weights must be finite numbers >= 0"),
        ({"learning_rat": 0.1}, r"training setting .* did you mean 'learning_rate'"),
        ({"patience": 2}, r"patience must be None without validation, got 2"),
        ({"validation": 0.01}, r"validation must leave samples on both sides"),
        ({"label_smoothing": 1}, r"label_smoothing must be below 1, got 1"),
        ({"optimizer": "adma"}, r"optimizer must be .* did you mean 'adam'"),
        ({"clip_norm": 0}, r"clip_norm must be > 0, got 0"),
        ({"labels": LABELS + 1}, r"labels must be from 0 to 2, got 3 at position 2"),
        ({"labels": LABELS - 1}, r"labels must be >= 0, got -1 at position 0"),
        ({"labels": LABELS[:3]}, r"labels must have shape \(20,\), .* got \(3,\)"),
        ({"labels": LABELS / 1}, r"labels must be integers, got dtype float64"),
        ({"inputs": IMAGES[:0], "labels": LABELS[:0]}, r"inputs must have .* N >= 1"),
        ({"inputs": IMAGES * np.nan}, r"inputs must be finite, got 320 NaN"),
        ({"model": lambda x: x}, r"model must be an nnx.Module"),
        ({"model": nnx.Linear(1, 1, rngs=nnx.Rngs(0))}, r"model must return logits"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(change, message):
    arguments = {"model": tiny(), "inputs": IMAGES, "labels": LABELS, "num_epochs": 1}
    with pytest.raises(JsplitError, match=message) as error:
        train(**{**arguments, **change})
    assert "\n" not in str(error.value)


def test_diverging_loss_is_reported_and_leaves_the_model_alone():
    model = tiny()
    before = weights(model)
    with pytest.raises(JsplitError, match=r"learning_rate must be lower than 1e\+30"):
        fit(model, learning_rate=1e30, num_epochs=3)
    assert all((a == b).all() for a, b in zip(before, weights(model), strict=True))
