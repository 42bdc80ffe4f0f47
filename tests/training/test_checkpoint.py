"""Resuming: a training cut anywhere ends with the weights of an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

from jsplit.models import CNN
from jsplit.training import Interrupted, train
from jsplit.training.checkpoint import Checkpoints
from jsplit.training.progress import Pace
from jsplit.types import JsplitError

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), np.uint8)
LABELS = np.arange(40) % 3
SETTINGS = {
    "num_epochs": 4,
    "batch_size": 8,
    "validation": 0.2,
    "patience": 3,
    "augment": "crop_flip",
}


def to_unit(x):
    return x.astype("float32") / 255


class Noisy(CNN):
    """With batch statistics and dropout, whose random state must survive too."""

    def __init__(self, rngs):
        super().__init__(3, widths=(2, 2), rngs=rngs)
        dropout = nnx.Dropout(0.3, rngs=rngs)
        self.blocks[0] = nnx.Sequential(
            to_unit,
            nnx.BatchNorm(1, rngs=rngs),
            dropout,
            self.blocks[0],
        )


def model(seed=0):
    return Noisy(nnx.Rngs(seed))


def arrays(network):
    state = nnx.state(network, nnx.Not(nnx.RngKey))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def fit(network, folder=None, images=IMAGES, **changes):
    return train(
        network,
        images,
        LABELS,
        checkpoint=folder,
        checkpoint_seconds=0.0,
        progress=False,
        **{**SETTINGS, **changes},
    )


def equal(a, b):
    return all((x == y).all() for x, y in zip(arrays(a), arrays(b), strict=True))


@pytest.fixture
def cut(monkeypatch):
    """Looks after every step, and a way to send a signal after some of them."""

    def cut_after(steps):
        count = iter(range(1000))
        looked = Pace.looked

        def is_due(self):
            if next(count) + 1 == steps:
                os.kill(os.getpid(), signal.SIGTERM)
            return True

        monkeypatch.setattr(Pace, "is_due", is_due)
        monkeypatch.setattr(Pace, "looked", looked)

    return cut_after


@pytest.fixture(scope="module")
def undisturbed():
    network = model()
    return network, fit(network)


@pytest.mark.parametrize("steps", [1, 6, 8])
def test_interrupted_training_goes_on_to_the_same_weights(
    cut, steps, tmp_path, undisturbed
):
    cut(steps)
    with pytest.raises(Interrupted, match=f"stopped after {steps} of 16 steps"):
        fit(model(), tmp_path)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    network = model()
    log = fit(network, tmp_path)
    whole, whole_log = undisturbed
    assert equal(network, whole)
    np.testing.assert_array_equal(log.loss, whole_log.loss)
    np.testing.assert_array_equal(log.validation_loss, whole_log.validation_loss)
    assert log.best_epoch == whole_log.best_epoch
    assert not equal(network, model())


def test_finished_training_is_not_repeated(tmp_path, undisturbed):
    fit(model(), tmp_path)
    network = model()
    log = fit(network, tmp_path)
    assert equal(network, undisturbed[0])
    assert log.stopped == "num_epochs"


def damage(folder):
    """Flips one bit in the middle of the largest file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damaged_checkpoint_falls_back_to_the_one_before(cut, tmp_path, undisturbed):
    cut(6)
    with pytest.raises(Interrupted):
        fit(model(), tmp_path)
    damage(tmp_path / "6")
    network = model()
    fit(network, tmp_path)
    assert equal(network, undisturbed[0])

    for step in (15, 16):
        damage(tmp_path / str(step))
    with pytest.raises(JsplitError, match=r"none of the 2 in .* can be read"):
        fit(model(), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_smoothing": 0.1}, r"label_smoothing: .* with 0.0, got 0.1"),
        ({"images": IMAGES[::-1]}, r"data \(CRC-32\): "),
        ({"seed": 1}, r"seed: .* with 0, got 1"),
    ],
)
def test_other_training_is_refused_by_name(change, message, cut, tmp_path):
    cut(1)
    with pytest.raises(Interrupted):
        fit(model(), tmp_path)
    with pytest.raises(JsplitError, match=message) as error:
        fit(model(), tmp_path, **change)
    assert "\n" not in str(error.value)
    with pytest.raises(JsplitError, match=r"initial weights \(CRC-32\)"):
        fit(model(1), tmp_path)


def test_half_written_checkpoint_is_no_checkpoint(tmp_path):
    state = {"a": np.arange(3.0), "key": jax.random.key(5)}
    store = Checkpoints(tmp_path, {"n": 1})
    store.save(7, state, {"said": [1.5]})
    store.close()
    (tmp_path / "9.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "8" / "state").mkdir(parents=True)
    store = Checkpoints(tmp_path, {"n": 1})
    found = store.restore({"a": np.zeros(3), "key": jax.random.key(0)})
    assert found is not None
    np.testing.assert_array_equal(found[0]["a"], state["a"])
    assert found[0]["key"] == state["key"]
    assert found[1] == {"said": [1.5]}
    store.close()


def full_disk(monkeypatch, store):
    del store
    usage = shutil.disk_usage(os.curdir)._replace(free=23)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


def disk_that_fills_up(monkeypatch, store):
    def save(*arguments, **options):
        raise ValueError("RESOURCE_EXHAUSTED: ... [os_error_code='28']")

    monkeypatch.setattr(store._manager, "save", save)


@pytest.mark.parametrize("happens", [full_disk, disk_that_fills_up])
def test_full_disk_is_one_line(happens, tmp_path, monkeypatch):
    store, tree = Checkpoints(tmp_path, {}), {"a": np.arange(3.0)}  # 24 bytes
    happens(monkeypatch, store)
    message = r"checkpoint: cannot write into .*: No space left on device$"
    with pytest.raises(JsplitError, match=message):
        store.save(1, tree, {})
    monkeypatch.undo()
    store.save(2, tree, {})
    assert store.restore(tree) is not None
    store.close()


SCRIPT = """
import os, sys, threading
import test_checkpoint as t
from jsplit.training import loop
if len(sys.argv) > 2:
    looked = loop.Pace.looked
    steps = iter(range(int(sys.argv[2])))
    def die(self):
        if next(steps, None) is None:
            os.kill(os.getpid(), 9)
        looked(self)
    loop.Pace.looked = die
    loop.Pace.is_due = lambda self: True
network = t.model()
t.fit(network, sys.argv[1])
t.np.savez(sys.argv[1] + ".npz", *t.arrays(network))
"""


@pytest.mark.slow
def test_killed_process_goes_on_to_the_same_weights(tmp_path, undisturbed):
    folder = tmp_path / "run"
    here = os.path.dirname(__file__)

    def run(*extra):
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder), *extra],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)]),
            },
            timeout=300,
        ).returncode

    assert run("5") == -signal.SIGKILL
    assert not (tmp_path / "run.npz").exists()
    assert run() == 0
    with np.load(tmp_path / "run.npz") as found:
        for one, other in zip(found.values(), arrays(undisturbed[0]), strict=True):
            np.testing.assert_array_equal(one, other)
