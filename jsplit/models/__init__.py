"""Networks with several exits, in Flax NNX.

Here: the mechanism (`MultiExit`) and the networks built with it. Not here: training
(`jsplit.training`) and turning a network into a trace (`jsplit.recording`).
"""

from jsplit.models.cnn import CNN
from jsplit.models.multi_exit import MultiExit

__all__ = ["CNN", "MultiExit"]
