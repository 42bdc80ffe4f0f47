"""Sums that keep what float32 forgets."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jsplit.engine.reduce import Pair, _add

pytestmark = pytest.mark.core


def test_a_pair_keeps_what_a_float32_sum_forgets():
    values = np.random.default_rng(0).uniform(0, 32, 5_000).astype(np.float32)

    @jax.jit
    def total(values):
        zero = Pair(jnp.zeros((), values.dtype), jnp.zeros((), values.dtype))
        return lax.scan(lambda pair, value: (_add(pair, value), None), zero, values)[0]

    pair, exact = total(values), math.fsum(values)
    assert abs(float(pair.high) - exact) > 1e-2
    assert abs(float(pair.high) + float(pair.low) - exact) < 1e-4
