"""From a network and a data set to a trace.

Here: the names users type. `full_pass` runs the network, `layers` counts what its
layers cost, `job` starts from the folder of a trained network.
"""

from jsplit.extras import naming

with naming("jsplit.recording"):
    from jsplit.recording.full_pass import record
    from jsplit.recording.layers import measure_layers

__all__ = ["measure_layers", "record"]
