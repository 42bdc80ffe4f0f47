"""Which jsplit this is, and what it ran with.

Here: the version, and the provenance that traces, models and results carry.
"""

import datetime
import importlib
import platform

import jax
import numpy as np

from jsplit.seeds import GENERATOR

__version__ = "0.1.0"


def versions(*libraries: str) -> dict[str, str]:
    """Returns the versions of jsplit, Python and the libraries that computed.

    Args:
        *libraries: more of them, by the names they are imported under.
    """
    return {
        "jsplit": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        **{name: importlib.import_module(name).__version__ for name in libraries},
    }


def provenance() -> dict[str, str]:
    """Returns versions, devices, arithmetic and the time, as stored with results."""
    devices = jax.devices()
    return {
        **{f"{name}_version": number for name, number in versions().items()},
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "precision": str(jax.dtypes.canonicalize_dtype(float)),
        "prng": GENERATOR,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
