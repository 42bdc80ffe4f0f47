"""MobileNetV2 against what others compute, and files with torchvision's names."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from make_mobilenet_reference import (
    FILE,
    checksum,
    large,
    small,
    transformers_outputs,
)
from thin_mobilenet import as_torchvision, thin_mobilenet

from jsplit.models import MobileNetV2, load_weights
from jsplit.models.networks.mobilenet import EXITS
from jsplit.models.weights.tensors import variables
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")


def abstract(num_classes=3):
    return nnx.eval_shape(
        lambda: MobileNetV2(num_classes, width=0.05, rngs=nnx.Rngs(0))
    )


@pytest.fixture(scope="module")
def model():
    return thin_mobilenet()


@pytest.fixture(scope="module")
def tensors(model):
    return as_torchvision(model)


def saved(tensors, folder):
    file = folder / "model.safetensors"
    safetensors.numpy.save_file(
        {k: np.ascontiguousarray(v) for k, v in tensors.items()}, file
    )
    return file


def assert_same(model, other, *, but=()):
    ours = variables(model)
    for path, array in variables(other).items():
        if not path.startswith(but):
            np.testing.assert_array_equal(ours[path][...], array[...], err_msg=path)


def test_names_and_shapes_are_those_of_torchvision(tensors):
    """Written out from torchvision's `MobileNetV2`; thin channels are 8, inside 48."""
    expected = {
        "features.0.0.weight": (8, 3, 3, 3),
        "features.0.1.running_mean": (8,),
        "features.1.conv.0.0.weight": (8, 1, 3, 3),
        "features.1.conv.0.1.bias": (8,),
        "features.1.conv.1.weight": (8, 8, 1, 1),
        "features.1.conv.2.running_var": (8,),
        "features.2.conv.0.0.weight": (48, 8, 1, 1),
        "features.2.conv.0.1.weight": (48,),
        "features.2.conv.1.0.weight": (48, 1, 3, 3),
        "features.2.conv.1.1.weight": (48,),
        "features.2.conv.2.weight": (8, 48, 1, 1),
        "features.2.conv.3.weight": (8,),
        "features.17.conv.2.weight": (16, 48, 1, 1),
        "features.18.0.weight": (1280, 16, 1, 1),
        "features.18.1.running_var": (1280,),
        "classifier.1.weight": (3, 1280),
        "classifier.1.bias": (3,),
    }
    assert {name: tensors[name].shape for name in expected} == expected
    # 52 convolutions with four vectors each, the classifier; then the six side exits.
    assert len(tensors) == 52 * 5 + 2 + 6 * 6


def test_a_whole_file(model, tensors, tmp_path):
    named = {f"module.{k}": v for k, v in tensors.items()}
    named["module.features.0.1.num_batches_tracked"] = np.array(7)
    loaded = abstract()
    load_weights(loaded, saved(named, tmp_path))
    assert_same(loaded, model)


def test_a_backbone_leaves_the_exits_as_they_are(model, tensors, tmp_path):
    backbone = {k: v for k, v in tensors.items() if not k.startswith("exits")}
    file = saved(backbone, tmp_path)
    with pytest.raises(JsplitError, match=r"missing exits\.0\.norm\.weight, .* more"):
        load_weights(abstract(), file)
    loaded = thin_mobilenet(seed=1)
    sides = tuple(f"heads.{number}." for number in range(6))
    before = {k: np.asarray(v[...]) for k, v in variables(loaded).items()}
    load_weights(loaded, file, random_exits=True)
    assert_same(loaded, model, but=sides)
    for path, array in variables(loaded).items():
        if path.startswith(sides):
            np.testing.assert_array_equal(array[...], before[path])


def test_a_classifier_of_other_classes_is_left_out_on_request(model, tensors, tmp_path):
    backbone = {k: v for k, v in tensors.items() if not k.startswith("exits")}
    file = saved(backbone, tmp_path)
    loaded = thin_mobilenet(5, seed=1)
    load_weights(loaded, file, random_exits=True)
    assert_same(loaded, model, but=("heads.",))
    with pytest.raises(JsplitError, match=r"misshapen .*classifier\.1\.bias \[3\]"):
        load_weights(loaded, file)


def test_names_everything_that_does_not_fit(tensors, tmp_path):
    bad = dict(tensors)
    del bad["features.3.conv.2.weight"], bad["exits.2.linear.bias"]
    bad["features.4.conv.0.0.weight"] = np.zeros((48, 9, 1, 1), np.float32)
    bad["features.19.0.weight"] = np.zeros(1, np.float32)
    with pytest.raises(JsplitError) as error:
        load_weights(abstract(), saved(bad, tmp_path), random_exits=True)
    text = str(error.value)
    assert "missing features.3.conv.2.weight, exits.2.linear.bias" in text
    assert "unexpected features.19.0.weight" in text
    assert (
        "misshapen features.4.conv.0.0.weight [48, 9, 1, 1] for [48, 8, 1, 1]" in text
    )


@jax.jit
def features_and_logits(model, x):
    features, h = [], x
    for group in model.blocks:
        for feature in group.layers:
            h = feature(h)
            features.append(h)
    return features, model.heads[-1](h)


def assert_equal(model, images, hidden, expected_logits):
    """Every inverted residual and the final logits, within 1e-4."""
    features, logits = features_and_logits(model, images)
    # Theirs begin behind our third feature block: stem and first residual are one.
    assert len(hidden) == EXITS[-2] - 2
    for ours, expected in zip(features[2:18], hidden, strict=True):
        assert expected.std() > 0.1
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(expected_logits, axis=0).min() > 0.05
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-4)


def test_equals_the_stored_numbers_of_transformers():
    model, images = large()
    with np.load(FILE) as file:
        stored = dict(file)
    assert checksum(model) == stored["checksums"][0], "other weights: make FILE again"
    hidden = [stored[name] for name in sorted(stored) if name.startswith("hidden/")]
    assert_equal(model, images, hidden, stored["logits"])


def test_equals_the_stored_logits_of_torch():
    model, images = small()
    with np.load(FILE) as file:
        theirs, weights = file["small_logits"], file["checksums"][1]
    assert checksum(model) == weights, "other weights: make FILE again"
    ours = np.asarray(jax.jit(lambda model, x: model(x))(model, images))[:, -1]
    assert np.ptp(theirs, axis=0).min() > 0.05
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_equals_transformers():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model, images = large()
    assert_equal(model, images, *transformers_outputs(model, images))
