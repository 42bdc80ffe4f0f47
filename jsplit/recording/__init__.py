"""From a network and a data set to a trace.

Here: the names users type. `full_pass` runs the network, `layers` counts what its
layers cost, `job` starts from the folder of a trained network, as `request` says. Loads
flax when a name is first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsplit.recording.full_pass import record
    from jsplit.recording.layers import measure_layers

__all__ = ["measure_layers", "record"]

_HOMES = {"measure_layers": "layers", "record": "full_pass"}


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'jsplit.recording' has no attribute {name!r}")
    module = importlib.import_module(f"jsplit.recording.{_HOMES[name]}")
    return getattr(module, name)
