"""Networks with several exits, in Flax NNX.

Here: the mechanism (`MultiExit`) and the networks built with it. Not here: training
(`jsplit.training`) and turning a network into a trace (`jsplit.recording`).
"""

from jsplit.models.cnn import CNN
from jsplit.models.files import load_model, save_model
from jsplit.models.mlp import MLP
from jsplit.models.mobilenet import MobileNetV2
from jsplit.models.multi_exit import MultiExit
from jsplit.models.registry import make_model, model_names
from jsplit.models.resnet import ResNet

__all__ = [
    "CNN",
    "MLP",
    "MobileNetV2",
    "MultiExit",
    "ResNet",
    "load_model",
    "make_model",
    "model_names",
    "save_model",
]
