"""The order of samples a replica sees, computed instead of stored.

Here: shuffles and bootstrap resamples as functions of (key, position), in O(1) memory.
Not here: who walks along them (`engine`). Every policy of an evaluation walks the same
streams, and a replica's stream depends on the seed and its number alone.
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

Kind = Literal["shuffle", "bootstrap", "fixed"]
KINDS: tuple[Kind, ...] = ("shuffle", "bootstrap", "fixed")

ORDERS = 4
"""Consecutive replicas that run over the same resampled test set, in other orders.

What they have in common is the effect of the test set, the rest is the effect of the
order. So test-set error and the luck of a run can be separated (`stats.errors`). More
orders estimate a small common part better, but leave fewer test sets.
"""

# Rounds of the shuffle. In chi-square tests on positions and on pairs of positions with
# up to 10^6 replicas, 16 rounds fail for N = 6, 7 and 13, 8 fail for N = 37, 6 fail for
# N = 331. The numbers below passed for every N tried, up to 10^6. A part of this is in
# tests/engine/test_streams.py.
ROUNDS_SMALL, ROUNDS_MEDIUM, ROUNDS_LARGE = 24, 10, 6
MEDIUM, LARGE = 256, 1024  # from this N on


CHANCE_BITS = 24  # of a chance, so that 0 and 1 are exact in int32


class Keys(NamedTuple):
    """What fixes one pass over the data; `*lanes` is () or (replicas,)."""

    rounds: Array  # [rounds, 2, *lanes] uint32: multipliers and offsets
    resample: Array  # [2, *lanes] uint32: the same for all passes and orders
    drift: Array  # [2, *lanes] uint32: the same for all passes


def replica_keys(key: Array, num_samples: int) -> Keys:
    """Returns what fixes the stream of one replica over N samples, from its `key`."""
    rounds, resample = jax.random.split(key)
    if num_samples < MEDIUM:
        num_rounds = ROUNDS_SMALL
    else:
        num_rounds = ROUNDS_MEDIUM if num_samples < LARGE else ROUNDS_LARGE
    return Keys(
        jax.random.bits(rounds, (num_rounds, 2), jnp.uint32),
        jax.random.bits(resample, (2,), jnp.uint32),
        jax.random.bits(jax.random.fold_in(key, 2), (2,), jnp.uint32),
    )


def pass_keys(keys: Keys, number: Array | int) -> Keys:
    """Returns the keys of pass `number` over the data, a new order in every pass."""
    salt = _mix(jnp.asarray(number).astype(jnp.uint32) + jnp.uint32(1))
    return keys._replace(rounds=_mix(keys.rounds ^ salt))


def sample_at(kind: Kind, position: Array, keys: Keys, num_samples: int) -> Array:
    """Returns which sample stands at `position` of a pass.

    Args:
        kind: "shuffle" visits every sample once in a random order. "bootstrap" draws N
            samples with replacement once per test set, and visits them in a random
            order in every pass, as a real test set would be. "fixed" is the order of
            the data.
        position: [...] int32 in [0, N), broadcast against the lanes of `keys`.
        keys: keys of the pass.
        num_samples: number of samples N, >= 1, a Python int: it fixes the program.

    Returns:
        int32 samples in [0, N), of the broadcast shape.
    """
    position = position.astype(jnp.uint32)
    shape = jnp.broadcast_shapes(position.shape, keys.rounds.shape[2:])
    if kind == "fixed":
        return jnp.broadcast_to(position, shape).astype(jnp.int32)
    # Axes for the positions, so that the arithmetic below never adds any by itself.
    axes = tuple(range(1, 1 + len(shape) - (keys.rounds.ndim - 2)))
    rounds = jnp.expand_dims(keys.rounds, tuple(axis + 1 for axis in axes))
    sample = _permute(jnp.broadcast_to(position, shape), rounds, num_samples)
    if kind == "bootstrap":
        sample = _draw(sample, jnp.expand_dims(keys.resample, axes), num_samples)
    return sample.astype(jnp.int32)


def next_condition(step: Array, before: Array, below: Array, keys: Keys) -> Array:
    """Returns the condition of a step, drawn given the one before.

    Args:
        step: [] int32 step of the run, from 0.
        before: [lanes] int32 conditions of the step before.
        below: [M - 1, M] int32; entry (m, i) is 2^24 times the chance of a condition
            up to m after condition i.
        keys: keys of the lanes.

    Returns:
        [lanes] int32.
    """
    counter = step.astype(jnp.uint32)
    draw = _mix(_mix(counter + keys.drift[0]) ^ keys.drift[1]) >> (32 - CHANCE_BITS)
    passed = draw.astype(jnp.int32)[None] >= jnp.take(below, before, axis=1)
    return passed.sum(0, dtype=jnp.int32)


def _permute(value: Array, rounds: Array, size: int) -> Array:
    """Returns the image of `value` under a keyed permutation of [0, size).

    A generalised Feistel network on Z_a x Z_b with a * b >= size: each round adds to
    one half a function of the other half, which is invertible whatever the function.
    Values outside [0, size) are sent through again until they fall inside (cycle
    walking), which keeps the map a permutation. a and b are chosen so that almost
    none do. The round function is multiply-shift hashing, pairwise independent for
    halves below 2^16 (Dietzfelbinger 1996).
    """
    a, b = _rectangle(size)

    def two_rounds(i: Array, halves: tuple[Array, Array]) -> tuple[Array, Array]:
        x, y = halves
        for_x, for_y = rounds[2 * i], rounds[2 * i + 1]
        x = _add_modulo(x, y * (for_x[0] | 1) + for_x[1], a)
        return x, _add_modulo(y, x * (for_y[0] | 1) + for_y[1], b)

    def once(value: Array) -> Array:
        x = value // jnp.uint32(b)
        y = value - x * jnp.uint32(b)
        # Unrolled where speed counts; rolled up where compile time does.
        unroll = rounds.shape[0] <= ROUNDS_MEDIUM
        x, y = lax.fori_loop(0, rounds.shape[0] // 2, two_rounds, (x, y), unroll=unroll)
        return x * jnp.uint32(b) + y

    value = once(value)
    if a * b == size:
        return value
    return lax.while_loop(
        lambda value: jnp.any(value >= size),
        lambda value: jnp.where(value >= size, once(value), value),
        value,
    )


def _add_modulo(half: Array, hashed: Array, size: int) -> Array:
    """Returns (half + h) mod size, h the top 16 bits of `hashed` scaled to size."""
    total = half + (((hashed >> 16) * jnp.uint32(size)) >> 16)
    # Unsigned: total - size wraps to a huge number unless total >= size.
    return jnp.minimum(total, total - jnp.uint32(size))


def _rectangle(size: int) -> tuple[int, int]:
    """Returns a, b near sqrt(size) with a * b >= size and as little excess as found."""
    root = math.isqrt(size - 1) + 1  # ceil of the square root
    widths = range(max(2, root // 2), max(2, root) + 1)
    return min(
        ((a, -(-size // a)) for a in widths), key=lambda ab: (ab[0] * ab[1], -ab[0])
    )


def _draw(counter: Array, keys: Array, size: int) -> Array:
    """Returns a draw from [0, size) for every counter value, fixed by `keys`."""
    bits = _mix(_mix(counter + keys[0]) ^ keys[1])
    # floor(bits * size / 2^32) in 32-bit arithmetic, by 16-bit digits.
    high, low = bits >> 16, bits & 0xFFFF
    size_high, size_low = jnp.uint32(size >> 16), jnp.uint32(size & 0xFFFF)
    middle = high * size_low + ((low * size_low) >> 16)
    # `low * size_high` is below 2^32; added separately so that no sum overflows.
    cross = (middle & 0xFFFF) + ((low * size_high) & 0xFFFF)
    return high * size_high + (middle >> 16) + ((low * size_high) >> 16) + (cross >> 16)


def _mix(bits: Array) -> Array:
    """Returns a bijective scramble of 32 bits (xorshift-multiply, as in MurmurHash)."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)
