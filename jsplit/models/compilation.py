"""How XLA should compile a network's pass on a CPU.

Here: the options, tried once for the XLA at hand. Not here: compiling (`recording`,
`bench.models`).
"""

import functools
from typing import Any

import jax

# JAX 0.10 hands float32 products to a library (YNNPACK) that reached 92 GFLOP/s a
# core on Cascade Lake where XLA's older path (Eigen) reached 111, PyTorch 135. Empty =
# no library. oneDNN's was as fast as Eigen, and ended the process on some products.
WITHOUT_LIBRARY = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def compiler_options() -> dict[str, Any]:
    """Returns `compiler_options` for `jax.jit` of a pass over all exits.

    They concern CPUs only; on other devices they are empty. With several CPU devices
    (jsplit makes one per core) each keeps to its core.

    Example:
        >>> import jax
        >>> from jsplit.models.compilation import compiler_options
        >>> double = jax.jit(lambda x: 2 * x, compiler_options=compiler_options())
        >>> int(double(3))
        6
    """
    if jax.default_backend() != "cpu":
        return {}
    options: dict[str, Any] = {"xla_cpu_multi_thread_eigen": jax.device_count() == 1}
    try:  # the option is experimental: another XLA may not know it
        jax.jit(lambda x: -x, compiler_options=WITHOUT_LIBRARY)(1)
    except jax.errors.JaxRuntimeError:
        return options
    return options | WITHOUT_LIBRARY
