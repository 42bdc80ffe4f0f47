"""The residual network and the dense perceptron."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.models import MLP, ResNet, load_model, save_model
from jsplit.models.networks.layers import BatchNorm
from jsplit.recording import measure_layers
from jsplit.training import train
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")


def resnet():
    return ResNet(3, widths=(4, 8), blocks_per_stage=2, rngs=nnx.Rngs(0))


def mlp():
    return MLP(3, num_features=200, widths=(6, 5, 4), rngs=nnx.Rngs(0))


MODELS = {"resnet": resnet, "mlp": mlp}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    model = MODELS[request.param]()
    for _, module in nnx.iter_graph(model):
        if isinstance(module, BatchNorm):  # not the statistics it was born with
            module.mean[...] = jnp.full_like(module.mean[...], 0.1)
            module.var[...] = jnp.full_like(module.var[...], 0.7)
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def run():
    return jax.jit(lambda model, x: model(x))


def num_params(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_parameter_counts():
    stem = 9 * 3 * 4 + 2 * 4
    same = lambda c: 2 * (9 * c * c + 2 * c)  # noqa: E731
    wider = (9 * 4 * 8 + 2 * 8) + (9 * 8 * 8 + 2 * 8) + (4 * 8 + 2 * 8)
    heads = 2 * (4 * 3 + 3) + 2 * (8 * 3 + 3)
    assert num_params(resnet()) == stem + 2 * same(4) + wider + same(8) + heads
    hidden = (200 * 6 + 6) + (6 * 5 + 5) + (5 * 4 + 4)
    assert num_params(mlp()) == hidden + (6 + 5 + 4) * 3 + 3 * 3


def test_resnet_20_has_the_published_size():
    """He et al. state 0.27 million; theirs has no projections and one exit."""
    model = nnx.eval_shape(lambda: ResNet(10, rngs=nnx.Rngs(0)))
    assert model.num_exits == 9
    assert 0.265e6 < num_params(model) < 0.285e6


def test_maps_halve_at_every_later_stage(images):
    model = resnet()
    shapes = [jax.eval_shape(lambda x, i=i: model.head(x, i), images) for i in (2, 4)]
    assert [h.shape for h in shapes] == [(5, 8, 8, 4), (5, 4, 4, 8)]


def test_head_and_tail_compose_at_every_split(model, images, run):
    full = run(model, images)
    assert full.shape == (5, model.num_exits, 3)
    for split in range(1, model.num_exits):
        tail = jax.jit(lambda m, x, s=split: m.tail(m.head(x, s), s))(model, images)
        np.testing.assert_allclose(tail, full[:, split:], rtol=1e-5, atol=1e-5)


def test_logits_do_not_depend_on_the_batch(model, images, run):
    together = run(model, images)
    others = run(model, np.stack([images[0], *(images[1:] // 2)]))
    np.testing.assert_allclose(together[0], others[0], rtol=1e-5, atol=1e-5)
    assert np.abs(together[1] - others[1]).max() > 1e-3


def test_bytes_equal_floats_over_255(model, images, run):
    floats = np.float32(images) / np.float32(255)
    np.testing.assert_allclose(
        run(model, images), run(model, floats), rtol=1e-5, atol=1e-5
    )


def test_flops_grow_with_the_block(images):
    """Within 10 % of two per multiply-add: norms, ReLUs and sums are the rest."""
    layers = np.array(measure_layers(resnet(), images[:1])["layer_flops"])
    conv = lambda size, before, after: 2 * size**2 * 9 * before * after  # noqa: E731
    wider = conv(4, 4, 8) + 2 * 4**2 * 4 * 8 + conv(4, 8, 8)
    expected = [
        conv(8, 3, 4) + 2 * conv(8, 4, 4),
        2 * conv(8, 4, 4),
        wider,
        2 * conv(4, 8, 8),
    ]
    assert (layers > expected).all()
    np.testing.assert_allclose(layers, expected, rtol=0.1)
    layers = measure_layers(mlp(), images[:1])["layer_flops"]
    np.testing.assert_allclose(layers[1:], [2 * 6 * 5, 2 * 5 * 4], rtol=0.4)


def test_saved_network_comes_back(model, images, run, tmp_path):
    save_model(model, tmp_path)
    loaded, _ = load_model(tmp_path)
    np.testing.assert_array_equal(run(loaded, images), run(model, images))


def test_training_moves_the_stored_statistics(images):
    model = resnet()
    norm = model.blocks[0].first.norm
    before = np.asarray(norm.mean[...])
    train(model, images, np.arange(5) % 3, num_epochs=1, batch_size=5, progress=False)
    assert np.abs(norm.mean[...] - before).min() > 0
    assert norm.use_running_average  # back in evaluation mode


@pytest.mark.parametrize(
    ("build", "kwargs", "message"),
    [
        (ResNet, {"widths": (4,), "blocks_per_stage": 1}, r"make at least 2 blocks"),
        (ResNet, {"widths": (4, 0)}, r"each of widths must be an integer >= 1, got 0"),
        (ResNet, {"blocks_per_stage": 0}, r"blocks_per_stage must be .* >= 1, got 0"),
        (MLP, {"widths": (4,)}, r"widths must have at least 2 entries, got \[4\]"),
        (MLP, {"num_features": 0}, r"num_features must be an integer >= 1, got 0"),
    ],
)
def test_refuses_bad_sizes(build, kwargs, message):
    with pytest.raises(JsplitError, match=message):
        build(10, **kwargs, rngs=nnx.Rngs(0))


def test_mlp_refuses_samples_that_are_too_large(images):
    model = MLP(3, num_features=100, widths=(4, 4), rngs=nnx.Rngs(0))
    with pytest.raises(JsplitError, match="num_features must be at least the 192"):
        model(images)
