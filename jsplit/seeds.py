"""Keys from seeds, the same ones whatever generator a host program has made its own.

Not here: what is drawn with them.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
from jax import Array

GENERATOR = "threefry2x32"  # draws of a lane do not depend on its neighbours

Given = ParamSpec("Given")
Result = TypeVar("Result")


def key_of(seed: Array | int) -> Array:
    """Returns the typed key of a seed, of threefry and not of JAX's default generator.

    Others, such as rbg, draw other numbers where lanes are split otherwise.

    Args:
        seed: in [0, 2^32).

    Example:
        >>> key_of(0).dtype
        key<fry>
    """
    return jax.random.key(seed, impl=GENERATOR)


def partitionable(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Returns a function that draws as JAX does by default, whatever is configured.

    `jax_threefry_partitionable=False` would give other draws for the same key.
    """

    @functools.wraps(function)
    def inside(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with jax.threefry_partitionable(True):
            return function(*args, **kwargs)

    return inside
