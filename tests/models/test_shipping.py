import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.models import CNN, quantise, shipped_bytes
from jsplit.models.shipping import answers_after_shipping
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

RNG = np.random.default_rng(0)


def quantised_by_hand(x, bits):
    """One sample after the other, in float64."""
    received = []
    for sample in x.astype(np.float64):
        step = (sample.max() - sample.min()) / (2**bits - 1)
        code = np.rint((sample - sample.min()) / step)
        assert code.min() == 0
        assert code.max() == 2**bits - 1
        received.append(sample.min() + code * step)
    return np.stack(received)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_quantise_equals_a_plain_loop(bits):
    x = RNG.normal(size=(6, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(quantise(x, bits), quantised_by_hand(x, bits), atol=1e-5)


def test_quantise_keeps_no_more_values_than_bits_allow():
    x = RNG.normal(size=(3, 400)).astype(np.float32)
    for sample in np.asarray(quantise(x, 3)):
        assert len(np.unique(sample)) == 8


def test_every_sample_has_its_own_range():
    x = np.stack([np.linspace(0, 1, 9), np.linspace(-50, 50, 9)]).astype(np.float32)
    together = quantise(x, 2)
    for i in range(2):
        np.testing.assert_array_equal(together[i], quantise(x[i : i + 1], 2)[0])


def test_constant_masks_and_integers_arrive_unchanged():
    h = {
        "hidden": jnp.full((2, 3), 0.3),
        "mask": jnp.array([[True, False], [True, True]]),
        "length": jnp.array([[7], [900]]),
    }
    received = quantise(h, 1)
    assert jax.tree.structure(received) == jax.tree.structure(h)
    for key, leaf in h.items():
        np.testing.assert_array_equal(received[key], leaf)
        assert received[key].dtype == leaf.dtype


def test_half_precision_stays_half_precision():
    x = jnp.asarray(RNG.normal(size=(2, 50)), jnp.bfloat16)
    assert quantise(x, 8).dtype == jnp.bfloat16
    assert (shipped_bytes(x), shipped_bytes(x, 8)) == (100, 58)


def test_no_bits_is_lossless():
    x = RNG.normal(size=(2, 5)).astype(np.float32)
    assert quantise(x, None) is x
    assert shipped_bytes(x, None) == 20


def test_bytes_are_rounded_up_per_leaf():
    h = (
        jax.ShapeDtypeStruct((4, 3, 3), jnp.float32),
        jax.ShapeDtypeStruct((4, 9), jnp.bool),
        jax.ShapeDtypeStruct((4, 2), jnp.int32),
    )
    assert shipped_bytes(h) == 36 + 2 + 8
    assert shipped_bytes(h, 2) == (3 + 8) + 2 + 8


@pytest.mark.parametrize("bits", [0, 17, 2.5, True])
def test_other_bits_are_refused(bits):
    for function in (quantise, shipped_bytes):
        with pytest.raises(JsplitError, match="bits must be an integer from 1 to 16"):
            function(np.zeros((1, 2), np.float32), bits)


def test_answers_after_shipping_equal_one_tail_after_another():
    model = CNN(3, widths=(4, 4, 8, 8), rngs=nnx.Rngs(0))
    x = RNG.random((5, 8, 8, 1)).astype(np.float32)

    @jax.jit
    def both_ways(model, x):
        alone = [
            model.tail(quantise(model.head(x, split), 3), split)[:, -1]
            for split in (1, 2, 3)
        ]
        return answers_after_shipping(model, x, 3), jnp.stack(alone, 1), model(x)

    together, alone, plain = both_ways(model, x)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(together[:, 0] - plain[:, -1]).max() > 1e-3
