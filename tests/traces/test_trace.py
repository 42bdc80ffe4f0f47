import copy
import csv
import dataclasses
import errno
import io
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import scipy.special

from jsplit.traces.loading import load_trace
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

N, L, C = 7, 3, 4


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def trace(rng):
    """A lossy trace with every field."""
    return Trace.from_logits(
        rng.normal(size=(N, L, C)),
        rng.integers(C, size=N),
        remote_logits=rng.normal(size=(N, L, C)),
        dataset="toy",
        flops=[1.5, 2.5, 3.5],
    )


def arrays_of(trace):
    values = {f.name: getattr(trace, f.name) for f in dataclasses.fields(trace)}
    return {k: v for k, v in values.items() if isinstance(v, np.ndarray)}


def assert_same(left, right):
    assert arrays_of(left).keys() == arrays_of(right).keys()
    for name, array in arrays_of(left).items():
        other = getattr(right, name)
        assert (name, array.dtype, array.shape, array.tobytes()) == (
            name,
            other.dtype,
            other.shape,
            other.tobytes(),
        )


def without_names(trace):
    return dataclasses.replace(trace, sample=None)


# Building


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_from_logits_equals_scipy_for_ordinary_logits(rng, dtype):
    logits = rng.normal(scale=5, size=(N, L, C)).astype(dtype)
    label = rng.integers(C, size=N)
    trace = Trace.from_logits(logits, label)
    probability = scipy.special.softmax(logits.astype(np.float64), axis=-1)
    entropy = scipy.special.entr(probability).sum(axis=-1)
    tolerance = 100 * np.finfo(dtype).eps
    assert trace.confidence.dtype == trace.entropy.dtype == dtype
    np.testing.assert_allclose(trace.confidence, probability.max(-1), rtol=tolerance)
    np.testing.assert_allclose(trace.entropy, entropy, atol=tolerance)
    np.testing.assert_array_equal(trace.prediction, probability.argmax(-1))
    np.testing.assert_array_equal(trace.correct, trace.prediction == label[:, None])
    assert trace.num_classes == C


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 80.0, 1e4, 0.9])
def test_from_logits_stays_in_range_for_extreme_logits(rng, dtype, scale):
    if scale == 0.9:  # differences overflow
        scale *= float(np.finfo(dtype).max)
    signs = rng.choice([-1.0, 0.0, 1.0], size=(200, 2, 5))
    trace = Trace.from_logits((scale * signs).astype(dtype), np.zeros(200))
    assert trace.confidence.min() >= np.nextafter(dtype(0.2), dtype(0))
    assert trace.confidence.max() <= 1
    assert trace.entropy.min() >= 0
    assert trace.entropy.max() <= np.log(5) * (1 + 1e-6)


def test_from_logits_predicts_lowest_class_on_ties():
    trace = Trace.from_logits([[[0, 1, 1], [2, 2, 2]]], [1])
    assert trace.prediction.tolist() == [[1, 0]]
    assert trace.correct.tolist() == [[True, False]]


def test_from_logits_reads_remote_logits(rng):
    logits, remote = rng.normal(size=(2, N, L, C))
    label = rng.integers(C, size=N)
    trace = Trace.from_logits(logits, label, remote_logits=remote)
    shipped = Trace.from_logits(remote, label)
    np.testing.assert_array_equal(trace.remote_confidence, shipped.confidence)
    np.testing.assert_array_equal(trace.remote_correct, shipped.correct)
    assert not trace.lossless


def test_remote_defaults_to_last_exit(rng):
    trace = Trace.from_arrays(rng.random((N, L)), correct=rng.random((N, L)) < 0.5)
    assert trace.lossless
    for exit_ in range(L):
        np.testing.assert_array_equal(
            trace.remote_confidence[:, exit_], trace.confidence[:, -1]
        )
        np.testing.assert_array_equal(
            trace.remote_correct[:, exit_], trace.correct[:, -1]
        )


@pytest.mark.parametrize("field", ["remote_confidence", "remote_correct"])
def test_lossless_is_false_when_one_remote_answer_differs(field):
    remote = {"remote_confidence": [[0.5, 0.5]], "remote_correct": [[1, 1]]}
    base = {"confidence": [[0.2, 0.5]], "correct": [[0, 1]]}
    assert Trace.from_arrays(**base, **remote).lossless
    remote[field] = [[0, remote[field][0][1]]]
    assert not Trace.from_arrays(**base, **remote).lossless


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float64, np.float64),
        (">f8", np.float64),
        (np.float32, np.float32),
        (np.float16, np.float32),
        (np.int64, np.float32),
    ],
)
def test_precision_of_confidence_is_kept(given, kept):
    trace = Trace.from_arrays(np.eye(2).astype(given), correct=np.eye(2, dtype=bool))
    assert trace.confidence.dtype == trace.remote_confidence.dtype == kept
    assert trace.confidence.dtype.isnative


def test_from_arrays_takes_jax_arrays_and_whole_floats():
    jnp = pytest.importorskip("jax.numpy")
    trace = Trace.from_arrays(
        jnp.array([[0.5, 0.75]], jnp.bfloat16), jnp.array([[1.0, 2.0]]), jnp.array([2])
    )
    assert trace.confidence.tolist() == [[0.5, 0.75]]
    assert (trace.label.dtype, trace.prediction.dtype) == (np.int32, np.int32)
    assert trace.correct.tolist() == [[False, True]]


def test_rounding_beyond_one_is_clipped():
    trace = Trace.from_arrays([[-5e-7, 1 + 5e-7]], correct=[[0, 1]])
    assert trace.confidence.tolist() == [[0.0, 1.0]]


def test_trace_is_read_only_and_detached_from_its_arguments(rng):
    confidence = np.asfortranarray(rng.random((N, L)))
    entropy = rng.random((N, L))
    correct = np.asfortranarray(rng.random((N, L)) < 0.5)
    trace = Trace.from_arrays(confidence, correct=correct, entropy=entropy)
    before = trace.sha256
    for array in arrays_of(trace).values():
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0
    confidence[:], entropy[:], correct[:] = 0, 0, ~correct
    assert before == copy.deepcopy(trace).sha256 == dataclasses.replace(trace).sha256
    assert trace.confidence.any()
    assert trace.entropy.any()
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.confidence = confidence


def test_properties_and_repr_of_a_small_trace():
    trace = Trace.from_arrays(
        [[0.5, 0.9], [0.6, 0.8]], correct=[[0, 1], [1, 1]], dataset="imdb"
    )
    assert (trace.num_samples, trace.num_exits, trace.num_classes) == (2, 2, None)
    assert trace.accuracy.dtype == np.float64
    assert trace.accuracy.tolist() == [0.5, 1.0]
    assert repr(trace) == "Trace(imdb, N=2, L=2, accuracy 0.500 to 1.000)"
    assert "imdb" not in repr(dataclasses.replace(trace, meta={}))


def test_sha256_depends_on_every_array_and_the_metadata(trace):
    digests = {trace.sha256}
    for name in ("confidence", "entropy", "remote_confidence"):
        changed = getattr(trace, name).copy()
        changed[-1, -1] = np.nextafter(changed[-1, -1], 0)
        digests.add(dataclasses.replace(trace, **{name: changed}).sha256)
    flipped = ~trace.remote_correct
    digests.add(dataclasses.replace(trace, remote_correct=flipped).sha256)
    digests.add(dataclasses.replace(trace, label=None).sha256)
    digests.add(dataclasses.replace(trace, prediction=None).sha256)
    digests.add(dataclasses.replace(trace, meta={**trace.meta, "seed": 1}).sha256)
    assert len(digests) == 8
    again = pickle.loads(pickle.dumps(trace))
    assert again.sha256 == trace.sha256


def test_meta_becomes_plain_json():
    meta = {"seed": np.int64(3), "bytes": (1, 2), "nested": {1: np.float32(0.5)}}
    trace = Trace.from_arrays([[0, 1]], correct=[[0, 1]], **meta)
    assert trace.meta == {"seed": 3, "bytes": [1, 2], "nested": {"1": 0.5}}


# Bad arguments

CONF = [[0.5, 0.9], [0.6, 0.8], [0.7, 0.7]]
YES = [[1, 1], [0, 1], [1, 0]]
PRED = [[1, 0], [2, 2], [0, 1]]
LABEL = [1, 2, 0]
CYCLE: list = []
CYCLE.append(CYCLE)

BAD_ARRAYS = {
    "1-d": ({"confidence": [0.5, 0.9], "correct": YES}, "confidence [N, L] (2,)"),
    "no samples": ({"confidence": np.zeros((0, 2)), "correct": YES}, "1 sample (0, 2)"),
    "one exit": ({"confidence": [[0.5]], "correct": [[1]]}, "2 exits (1, 1)"),
    "nan": ({"confidence": [[0.5, np.nan]] * 3, "correct": YES}, "nan [0, 1] (3 of 6"),
    "inf": ({"confidence": [[0.5, -np.inf]], "correct": YES}, "finite -inf (1 of 2"),
    "above 1": ({"confidence": [[0.5, 1.01]], "correct": YES}, "in [0, 1] 1.01"),
    "percent": ({"confidence": [[50, 90]], "correct": YES}, "in [0, 1] 50.0 2 of 2"),
    "a little above 1": ({"confidence": [[0.5, 1 + 5e-6]], "correct": YES}, "1.000005"),
    "a little below 0": ({"confidence": [[0.5, -5e-6]], "correct": YES}, "-5e-06"),
    "below 0": ({"confidence": [[0.5, -0.1]], "correct": YES}, "in [0, 1] -0.1"),
    "text": ({"confidence": [["a", "b"]], "correct": YES}, "confidence numbers <U1"),
    "None": ({"confidence": [[0.5, None]], "correct": YES}, "confidence object"),
    "complex": ({"confidence": [[1j, 0j]], "correct": YES}, "confidence complex128"),
    "bool": ({"confidence": [[True, False]], "correct": YES}, "confidence bool"),
    "ragged": ({"confidence": [[0.5], [0.5, 1]], "correct": YES}, "inhomogeneous"),
    "nothing": ({"confidence": CONF}, "needs correct, or prediction and label"),
    "no label": ({"confidence": CONF, "prediction": PRED}, "label not given"),
    "few correct": ({"confidence": CONF, "correct": [[1, 1]]}, "correct (3, 2) (1, 2)"),
    "correct 2": (
        {"confidence": CONF, "correct": PRED},
        "correct 0/1 2 at correct[1, 0]",
    ),
    "contradiction": (
        {"confidence": CONF, "correct": YES, "prediction": PRED, "label": LABEL},
        "correct prediction == label correct[0, 1] (2 of 6",
    ),
    "unlabelled": (
        {"confidence": CONF, "prediction": PRED, "label": [1, -1, 0]},
        "label >= 0 drop unlabelled samples -1 at label[1]",
    ),
    "label 0.5": (
        {"confidence": CONF, "correct": YES, "label": [1, 0.5, 0]},
        "integer 0.5",
    ),
    "label nan": ({"confidence": CONF, "correct": YES, "label": [1, np.nan, 0]}, "nan"),
    "label text": (
        {"confidence": CONF, "correct": YES, "label": ["a"] * 3},
        "label <U1",
    ),
    "label huge": (
        {"confidence": CONF, "correct": YES, "label": [2**40] * 3},
        "label 1099",
    ),
    "few labels": (
        {"confidence": CONF, "correct": YES, "label": [1]},
        "label (3,) (1,)",
    ),
    "one-hot": (
        {"confidence": CONF, "correct": YES, "label": YES},
        "label (3,) (3, 2)",
    ),
    "label 5 of 3": (
        {"confidence": CONF, "correct": YES, "label": [5, 0, 0], "num_classes": 3},
        "label 0..2 5",
    ),
    "prediction -2": (
        {"confidence": CONF, "prediction": [[1, 0], [-2, 2], [0, 1]], "label": LABEL},
        "prediction >= 0 -2 prediction[1, 0]",
    ),
    "prediction 1-d": (
        {"confidence": CONF, "prediction": LABEL, "label": LABEL},
        "prediction (3, 2) (3,)",
    ),
    "entropy < 0": (
        {"confidence": CONF, "correct": YES, "entropy": np.subtract(CONF, 0.55)},
        "entropy nats (1 of 6",
    ),
    "entropy nan": (
        {"confidence": CONF, "correct": YES, "entropy": np.full((3, 2), np.nan)},
        "entropy finite (6 of 6",
    ),
    "entropy shape": (
        {"confidence": CONF, "correct": YES, "entropy": [1, 2, 3]},
        "entropy (3, 2) (3,)",
    ),
    "half remote": (
        {"confidence": CONF, "correct": YES, "remote_confidence": CONF},
        "remote_confidence given remote_correct not given",
    ),
    "other half": (
        {"confidence": CONF, "correct": YES, "remote_correct": YES},
        "remote_confidence not given remote_correct given",
    ),
    "both remotes": (
        {
            "confidence": CONF,
            "prediction": PRED,
            "label": LABEL,
            "remote_confidence": CONF,
            "remote_correct": YES,
            "remote_prediction": PRED,
        },
        "one of remote_correct, remote_prediction",
    ),
    "remote needs label": (
        {
            "confidence": CONF,
            "correct": YES,
            "remote_confidence": CONF,
            "remote_prediction": PRED,
        },
        "remote_prediction needs label",
    ),
    "remote shape": (
        {
            "confidence": CONF,
            "correct": YES,
            "remote_confidence": [[1, 1]],
            "remote_correct": YES,
        },
        "remote_confidence (3, 2) (1, 2)",
    ),
    "meta array": (
        {"confidence": CONF, "correct": YES, "entropies": np.array(CONF)},
        "meta entropies JSON ndarray tolist",
    ),
    "meta nan": ({"confidence": CONF, "correct": YES, "lr": np.nan}, "meta lr JSON"),
    "meta object": (
        {"confidence": CONF, "correct": YES, "m": object()},
        "meta JSON object",
    ),
    "meta cycle": (
        {"confidence": CONF, "correct": YES, "m": CYCLE},
        "meta JSON Circular",
    ),
    "num_classes": (
        {"confidence": CONF, "correct": YES, "num_classes": 1.5},
        "num_classes integer >= 2 1.5",
    ),
    "num_classes None": (
        {"confidence": CONF, "correct": YES, "num_classes": None},
        "num_classes integer >= 2 None",
    ),
}

LOGITS = np.zeros((2, 2, 3))
BAD_LOGITS = {
    "2-d": ({"logits": LOGITS[0], "labels": [0, 1]}, "logits [N, L, C] (2, 3)"),
    "one class": ({"logits": LOGITS[..., :1], "labels": [0, 0]}, "2 classes (2, 2, 1)"),
    "one exit": ({"logits": LOGITS[:, :1], "labels": [0, 0]}, "2 exits (2, 1, 3)"),
    "empty": ({"logits": LOGITS[:0], "labels": []}, "1 sample (0, 2, 3)"),
    "nan": ({"logits": LOGITS + np.nan, "labels": [0, 1]}, "logits finite (12 of 12"),
    "text": ({"logits": [[["a"]]], "labels": [0]}, "logits <U1"),
    "unlabelled": ({"logits": LOGITS, "labels": [0, -1]}, "labels 0..2 unlabelled"),
    "label C": ({"logits": LOGITS, "labels": [3, 0]}, "labels 0..2 3 at labels[0]"),
    "label shape": ({"logits": LOGITS, "labels": [[0, 1]]}, "labels (2,) (1, 2)"),
    "remote": (
        {"logits": LOGITS, "labels": [0, 1], "remote_logits": LOGITS[:1]},
        "remote_logits (2, 2, 3) (1, 2, 3)",
    ),
}


def assert_one_line(error, words):
    message = str(error.value)
    assert "\n" not in message
    for word in words.split():
        assert word in message, message


@pytest.mark.parametrize(
    ("arguments", "words"), BAD_ARRAYS.values(), ids=list(BAD_ARRAYS)
)
def test_from_arrays_refuses_bad_arguments(arguments, words):
    with pytest.raises(JsplitError) as error:
        Trace.from_arrays(**arguments)
    assert_one_line(error, words)


@pytest.mark.parametrize(
    ("arguments", "words"), BAD_LOGITS.values(), ids=list(BAD_LOGITS)
)
def test_from_logits_refuses_bad_arguments(arguments, words):
    with pytest.raises(JsplitError) as error:
        Trace.from_logits(**arguments)
    assert_one_line(error, words)


def test_replace_refuses_what_contradicts_the_rest(trace):
    with pytest.raises(JsplitError, match="prediction == label"):
        dataclasses.replace(trace, prediction=(trace.prediction + 1) % C)
    with pytest.raises(JsplitError, match="meta must be a dict"):
        dataclasses.replace(trace, meta=None)


# Saving and loading


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip_is_bit_exact(rng, tmp_path, dtype):
    full = Trace.from_logits(
        rng.normal(size=(N, L, C)).astype(dtype),
        rng.integers(C, size=N),
        remote_logits=rng.normal(size=(N, L, C)),
        dataset="toy",
        note="ünïcode\n",
        seed=1,
    )
    bare = Trace.from_arrays(rng.random((N, L), dtype), correct=np.ones((N, L)))
    for trace in (full, bare):
        trace.save(tmp_path / "a.npz")
        loaded = load_trace(str(tmp_path / "a.npz"))
        assert_same(trace, loaded)
        assert loaded.confidence.dtype == dtype
        assert loaded.meta == trace.meta
        assert loaded.lossless == trace.lossless
        assert loaded.sha256 == trace.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_round_trip_holds_after_meta_was_extended(trace, tmp_path):
    before = trace.sha256
    trace.meta["note"] = "added later"
    trace.save(tmp_path / "a.npz")
    loaded = load_trace(tmp_path / "a.npz")
    assert loaded.meta["note"] == "added later"
    assert loaded.sha256 == trace.sha256 != before


def test_saved_file_is_readable_with_plain_numpy(trace, tmp_path):
    trace.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        header = json.loads(bytes(archive["header"]))
        assert header == {
            "format": "jsplit-trace",
            "version": 1,
            "sha256": trace.sha256,
            "meta": trace.meta,
        }
        assert set(archive.files) == {"header", *arrays_of(trace)}
        np.testing.assert_array_equal(archive["confidence"], trace.confidence)


def test_saving_twice_gives_the_same_bytes(trace, tmp_path):
    trace.save(tmp_path / "a.npz")
    trace.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("broken", ["numpy.savez", "os.fsync", "os.replace"])
def test_failed_save_leaves_the_old_file_intact(trace, tmp_path, monkeypatch, broken):
    path = tmp_path / "a.npz"
    trace.save(path)
    old = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(JsplitError) as error:
        dataclasses.replace(trace, meta={}).save(path)
    assert_one_line(error, "a.npz No space left")
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_save_leaves_no_temporary_file(trace, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trace.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_save_refuses_a_target_it_cannot_write(trace, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    for target, words in (
        ("missing/a.npz", "missing/a.npz No such file"),
        ("file/a.npz", "file/a.npz"),
        ("folder.npz", "folder.npz directory"),
        ("a.csv", ".npz a.csv"),
        ("a", ".npz"),
    ):
        with pytest.raises(JsplitError) as error:
            trace.save(tmp_path / target)
        assert_one_line(error, words)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.npz"]


def test_load_refuses_truncated_file(trace, tmp_path):
    trace.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    path = tmp_path / "cut.npz"
    for length in [0, 1, 3, 10, 100, len(content) // 2, *range(-30, 0)]:
        path.write_bytes(content[:length])
        with pytest.raises(JsplitError) as error:
            load_trace(path)
        assert_one_line(error, "cut.npz truncated or damaged")


def test_load_never_returns_another_trace_after_a_flipped_byte(trace, tmp_path):
    trace.save(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    path = tmp_path / "flipped.npz"
    start = content.index(trace.confidence.tobytes())
    in_array = [start, start + 9]
    messages = {}
    for position in [*in_array, *range(0, len(content), 41)]:
        content[position] ^= 0x10
        path.write_bytes(content)
        content[position] ^= 0x10
        try:
            # A byte that carries nothing, such as one of a date, may pass unnoticed.
            assert_same(trace, load_trace(path))
        except JsplitError as error:
            messages[position] = str(error)
    assert all("damaged" in messages[position] for position in in_array)
    assert not any("\n" in message for message in messages.values())


def test_load_does_not_take_a_trace_with_a_damaged_directory_for_foreign(
    trace, tmp_path
):
    trace.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    before, _, after = content.rpartition(b"header.npy")
    (tmp_path / "a.npz").write_bytes(before + b"hdader.npy" + after)
    with pytest.raises(JsplitError, match="damaged"):
        load_trace(tmp_path / "a.npz")


def rewritten(source, target, header_changes, **arrays):
    """Writes a copy of a saved trace, changed, but with valid zip checksums."""
    with np.load(source) as archive:
        entries = {name: archive[name] for name in archive.files} | arrays
    header = json.loads(bytes(entries["header"])) | header_changes
    entries["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(target, **entries)


def test_load_refuses_changed_contents(trace, tmp_path):
    trace.save(tmp_path / "a.npz")
    path = tmp_path / "b.npz"
    for changes, arrays, words in (
        ({"version": 2}, {}, "b.npz format 1 got 2 newer upgrade"),
        ({"version": "x"}, {}, "b.npz jsplit-trace another"),
        ({"format": "other"}, {}, "b.npz jsplit-trace another"),
        ({"meta": {"seed": 9}}, {}, "b.npz damaged sha256"),
        ({"meta": []}, {}, "b.npz damaged meta"),
        ({}, {"confidence": 1 - trace.confidence}, "b.npz damaged sha256"),
        ({}, {"confidence": trace.confidence + 1}, "b.npz damaged confidence"),
        ({}, {"header": np.frombuffer(b"{}", np.uint8)}, "b.npz header damaged"),
    ):
        rewritten(tmp_path / "a.npz", path, changes, **arrays)
        if "header" in arrays:
            np.savez(path, **arrays)
        with pytest.raises(JsplitError) as error:
            load_trace(path)
        assert_one_line(error, words)


def test_load_refuses_a_newer_version_before_it_looks_at_the_rest(tmp_path):
    header = {"format": "jsplit-trace", "version": 2, "sha256": "", "meta": {}}
    np.savez(
        tmp_path / "a.npz", header=np.frombuffer(json.dumps(header).encode(), np.uint8)
    )
    with pytest.raises(JsplitError, match="upgrade"):
        load_trace(tmp_path / "a.npz")


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def pickled_npz(path):
    np.savez(path, confidence=np.array([[Bomb(), 1]], dtype=object), correct=[[0, 1]])


def zip_of_texts(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("confidence", "hello")
        archive.writestr("correct", "hello")


def npy_file(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros((2, 2)))


FOREIGN = {
    "text": (lambda path: path.write_text("hello\nworld\n"), ".npz"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(Bomb())), ".npz"),
    "pickled entries": (pickled_npz, ".npz"),
    "zip of texts": (zip_of_texts, "logits and labels ['confidence', 'correct']"),
    "other arrays": (lambda path: np.savez(path, x=[1]), "logits and labels got ['x']"),
    "no arrays": (lambda path: np.savez(path), "logits and labels got []"),
    "npy": (npy_file, ".npz"),
    "no labels": (lambda path: np.savez(path, logits=LOGITS), "labels got ['logits']"),
    "bad values": (lambda path: np.savez(path, logits=LOGITS, label=[0, 9]), "0..2 9"),
}


@pytest.mark.parametrize(("write", "words"), FOREIGN.values(), ids=list(FOREIGN))
def test_load_refuses_foreign_file(tmp_path, write, words):
    path = tmp_path / "f.npz"
    write(path)
    with pytest.raises(JsplitError) as error:
        load_trace(path)
    assert_one_line(error, f"f.npz {words}")


def test_load_refuses_missing_file_and_folder(tmp_path):
    for path, words in ((tmp_path / "no.npz", "no.npz exist"), (tmp_path, "folder")):
        with pytest.raises(JsplitError) as error:
            load_trace(path)
        assert_one_line(error, words)


# Importing what others wrote


@pytest.mark.parametrize("name", ["label", "labels"])
def test_load_imports_foreign_npz(trace, rng, tmp_path, name):
    logits, remote = rng.normal(size=(2, N, L, C))
    np.savez(
        tmp_path / "a.npz",
        logits=logits,
        remote_logits=remote,
        ids=np.array(["x"] * N, dtype=object),
        **{name: trace.label},
    )
    assert_same(
        load_trace(tmp_path / "a.npz"),
        Trace.from_logits(logits, trace.label, remote_logits=remote),
    )
    arrays = arrays_of(trace)
    label = arrays.pop("label")
    np.savez(tmp_path / "b.npz", **arrays, **{name: label})
    loaded = load_trace(tmp_path / "b.npz")
    assert_same(loaded, trace)
    assert loaded.meta == {"dataset": "b"}


def long_columns(trace, start, names):
    """Returns the long form as columns, its rows shuffled."""
    sample, exit_ = np.divmod(np.arange(N * L), L)
    columns = {"sample": sample + 10, "exit": exit_ + start}
    columns |= {name: getattr(trace, name).ravel() for name in names if name != "label"}
    if "label" in names:
        columns["label"] = trace.label[sample]
    order = np.random.default_rng(1).permutation(N * L)
    return {name: column[order] for name, column in columns.items()}


def wide_columns(trace, start, names):
    columns = {"sample": np.arange(N)}
    for name in names:
        array = getattr(trace, name)
        if name == "label":
            columns[name] = array
        else:
            columns |= {f"{name}_{i + start}": array[:, i] for i in range(L)}
    return columns


def write_csv(path, columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(c.tolist() for c in columns.values()), strict=True))


def write_parquet(path, columns):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), path)


ALL = ["confidence", "prediction", "label", "entropy", "correct"]
REMOTE = ["remote_confidence", "remote_correct"]


@pytest.mark.parametrize("columns", [long_columns, wide_columns])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize(
    ("ending", "write"), [("csv", write_csv), ("parquet", write_parquet)]
)
def test_load_imports_table(trace, tmp_path, columns, start, ending, write):
    path = tmp_path / f"imdb.{ending}"
    write(path, columns(trace, start, ALL + REMOTE))
    loaded = load_trace(path)
    first = 10 if columns is long_columns else 0
    assert loaded.sample.tolist() == list(range(first, first + N))
    assert_same(without_names(loaded), trace)
    assert loaded.meta == {"dataset": "imdb"}

    write(path, columns(trace, start, ["confidence", "correct"]))
    bare = without_names(load_trace(path))
    assert_same(bare, Trace.from_arrays(trace.confidence, correct=trace.correct))

    write(path, columns(trace, start, ["confidence", "prediction", "label"]))
    assert load_trace(path).correct.tolist() == trace.correct.tolist()


def test_load_keeps_float32_of_parquet(trace, tmp_path):
    single = dataclasses.replace(trace, confidence=np.float32(trace.confidence))
    write_parquet(tmp_path / "a.parquet", long_columns(single, 1, ALL + REMOTE))
    assert_same(without_names(load_trace(tmp_path / "a.parquet")), single)


def test_load_reads_csv_of_a_spreadsheet(tmp_path):
    """Byte order mark, carriage returns, spaces, blank lines, words, other columns."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"\xef\xbb\xbfconfidence_2, correct_1,correct_2,confidence_1,text\r\n"
        b'0.75,TRUE,false,0.5,"two\r\nlines, quoted"\r\n'
        b" 1.0, False ,True,0.25,b\r\n\r\n"
    )
    trace = load_trace(path)
    assert trace.confidence.tolist() == [[0.5, 0.75], [0.25, 1.0]]
    assert trace.correct.tolist() == [[True, False], [False, True]]


HEAD = "sample,exit,confidence,prediction,label\n"
GOOD = "0,1,.5,1,1\n0,2,.6,1,1\n1,1,.7,0,2\n1,2,.8,2,2\n"
BAD_CSV = {
    "empty": ("", "empty file"),
    "no rows": (HEAD, "row none"),
    "no confidence": ("sample,exit,conf\n0,1,.5\n", "expected confidence got 'conf']"),
    "no exit": (
        "sample,confidence,correct\n0,1,.5\n",
        "exit got ['sample', 'confidence',",
    ),
    "no label": (
        "sample,exit,confidence,prediction\n0,1,.5,1\n",
        "label got 'prediction']",
    ),
    "semicolons": (HEAD.replace(",", ";") + "1;2;3;4;5", "2 exits (1, 1)"),
    "word": (HEAD + GOOD.replace(".8", "high"), "row 5, column confidence 'high'"),
    "empty cell": (HEAD + GOOD.replace("0,2\n", ",2\n"), "row 4, column prediction ''"),
    "short row": (HEAD + GOOD + "2,1\n", "row 6 5 cells got 2"),
    "long row": (HEAD + "0,1,.5,1,1,9\n" + GOOD, "row 2 5 cells got 6"),
    "twice": (HEAD + GOOD + "1,2,.8,2,2\n", "more than one row sample 1, exit 2"),
    "gap": (HEAD + GOOD + "3,2,.8,2,2\n", "no row for sample 3, exit 1"),
    "last gap": (HEAD + GOOD + "3,1,.8,2,2\n", "no row for sample 3, exit 2"),
    "sample nan": (HEAD + "nan,1,.5,1,1\n", "row 2, column sample whole number nan"),
    "two labels": (HEAD + "0,1,.5,1,1\n0,2,.5,1,2\n", "label same sample 0"),
    "unlabelled": (HEAD + "0,1,.5,1,-1\n0,2,.5,1,-1\n", "label unlabelled"),
    "nan": (HEAD + "0,1,nan,1,1\n0,2,.5,1,2\n", "label same"),
    "percent": (HEAD + "0,1,50,1,1\n0,2,.5,1,1\n", "confidence [0, 1] 50.0"),
    "one exit": (HEAD + "0,1,.5,1,1\n", "2 exits"),
    "same name": ("label,label\n1,2\n", "'label' twice"),
    "latin-1": (HEAD.encode() + b"\xe9,1,.5,1,1\n", "UTF-8"),
    "quote": (HEAD + '"0,1,.5,1,1\n', "CSV"),
    "wide mixed": (
        "confidence_0,confidence_1,correct_1,correct_2\n0,0,1,1\n",
        "correct_* like confidence_* 0, 1, got 1, 2",
    ),
    "wide word": (
        "confidence_1,confidence_2,correct_1,correct_2\n0,0,1,1\n0,0,1,x\n",
        "row 3, column correct_2 'x'",
    ),
    "wide no label": (
        "confidence_1,confidence_2,prediction_1,prediction_2\n0,0,1,1\n",
        "label got ['confidence_1',",
    ),
}


@pytest.mark.parametrize(("text", "words"), BAD_CSV.values(), ids=list(BAD_CSV))
def test_load_refuses_bad_csv(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(JsplitError) as error:
        load_trace(path)
    assert_one_line(error, f"bad.csv {words}")


def test_load_refuses_bad_parquet(tmp_path):
    path = tmp_path / "bad.parquet"
    write_parquet(path, {"sample": [0], "exit": [1], "confidence": [0.5]})
    content = path.read_bytes()
    for bad, words in ((content, "label"), (content[:40], "Parquet"), (b"", "Parquet")):
        path.write_bytes(bad)
        with pytest.raises(JsplitError) as error:
            load_trace(path)
        assert_one_line(error, f"bad.parquet {words}")
    columns = {"sample": [0, 0], "exit": [1, 2], "confidence": [0.5, 0.6]}
    write_parquet(path, {**columns, "correct": [True, None]})
    with pytest.raises(JsplitError, match=r"row 2, column correct .* None"):
        load_trace(path)
    write_parquet(path, {**columns, "correct": ["True", "false"]})
    assert load_trace(path).correct.tolist() == [[True, False]]


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "jsplit\[parquet\]"'):
        load_trace(tmp_path / "a.parquet")


def test_import_is_light():
    code = "import sys, jsplit.traces.trace; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"pyarrow", "xarray", "pandas", "flax", "jsplit.traces.tables"}


def test_load_reads_what_savez_compressed_wrote(trace, tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, confidence=trace.confidence, correct=trace.correct)
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    assert load_trace(tmp_path / "a.npz").lossless
