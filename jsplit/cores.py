"""One JAX device per core of the CPU.

XLA runs a block of replicas on one device and leaves other cores idle, so each core
gets a device. JAX must be told before it starts: a program that imports jsplit, then
JAX, and asks JAX for its devices before it uses a name of jsplit, has one.
"""

import os


def use_all_cores() -> None:
    """Makes one JAX CPU device per core, if JAX has not started and nobody chose.

    JSPLIT_CPU_DEVICES=n chooses n; JAX's own settings win over both.
    """
    import jax  # not before it is needed: `import jsplit` is there at once

    chosen = jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]
    if chosen or "host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    wanted = os.environ.get("JSPLIT_CPU_DEVICES", "")
    cores = int(wanted) if wanted.isdigit() and int(wanted) else _available_cores()
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        return  # JAX already started: use the devices there are


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
