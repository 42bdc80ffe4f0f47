"""From a network and a data set to a trace.

Here: the names users type. `full_pass` runs the network, `layers` counts what its
layers cost, `job` starts from the folder of a trained network, as `request` says. Loads
flax when a name is first used.
"""

from typing import TYPE_CHECKING

from jsplit.extras import lazily

if TYPE_CHECKING:
    from jsplit.recording.full_pass import record
    from jsplit.recording.layers import measure_layers

__all__ = ["measure_layers", "record"]

if not TYPE_CHECKING:  # which would take any misspelt name for an object
    __getattr__ = lazily(__name__, {"measure_layers": "layers", "record": "full_pass"})


def __dir__() -> list[str]:
    return sorted(__all__)
