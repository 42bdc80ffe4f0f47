"""Where the command line keeps what JAX compiled, so that the next run starts at once.

Here: the folder, and how a user names or refuses it. A program that imports jsplit
decides for itself, with JAX's own settings.
"""

import hashlib
import os
import pathlib
import platform

import jax

VARIABLE = "JSPLIT_COMPILED"
MIN_SECONDS = 0.1  # of compilation; JAX's default of one second keeps few of ours


def keep_compiled() -> None:
    """Makes JAX keep compiled programs in a folder, unless it has one already.

    The folder is `JSPLIT_COMPILED`, "off" for none, and by default one in the user's
    cache. Below it every kind of processor has a folder of its own, since homes are
    shared by machines that do not run each other's programs.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off" or jax.config.jax_compilation_cache_dir:  # type: ignore
        return
    folder = pathlib.Path(chosen) if chosen else _default()
    jax.config.update("jax_compilation_cache_dir", str(folder / _processor()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_SECONDS)


def _default() -> pathlib.Path:
    home = os.environ.get("XDG_CACHE_HOME")
    cache = pathlib.Path(home) if home else pathlib.Path("~/.cache").expanduser()
    return cache / "jsplit" / "compiled"


def _processor() -> str:
    """Returns a name for this kind of processor and what it can do."""
    told = [platform.machine(), platform.processor()]
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kinds = ("model name", "flags", "Features")
        told += sorted({line for line in lines if line.startswith(kinds)})
    except OSError:
        pass  # not Linux
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
