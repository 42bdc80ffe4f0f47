"""Networks with several exits, in Flax NNX.

Here: the mechanism of blocks, heads and halves (`multi_exit`), the networks built with
it (`networks`, by name in `registry`), layers with predefined sparsity (`sparse`),
weights that others have trained (`weights`), networks on disk (`files`), and what is
shipped at a split (`shipping`). Not here: training (`jsplit.training`) and turning a
network into a trace (`jsplit.recording`).
"""

from jsplit.extras import naming

with naming("jsplit.models"):
    from jsplit.models.files import load_model, save_model
    from jsplit.models.multi_exit import MultiExit
    from jsplit.models.networks.bert import BERT
    from jsplit.models.networks.cnn import CNN
    from jsplit.models.networks.mlp import MLP
    from jsplit.models.networks.mobilenet import MobileNetV2
    from jsplit.models.networks.resnet import ResNet
    from jsplit.models.networks.sparse_mlp import SparseMLP
    from jsplit.models.registry import make_model, model_names
    from jsplit.models.shipping import quantise, shipped_bytes
    from jsplit.models.sparse.layers import SparseConv, SparseLinear
    from jsplit.models.sparse.patterns import Pattern
    from jsplit.models.sparse.storage import storage_bytes
    from jsplit.models.weights.load import load_weights
    from jsplit.models.weights.tensors import read_weights

__all__ = [
    "BERT",
    "CNN",
    "MLP",
    "MobileNetV2",
    "MultiExit",
    "Pattern",
    "ResNet",
    "SparseConv",
    "SparseLinear",
    "SparseMLP",
    "load_model",
    "load_weights",
    "make_model",
    "model_names",
    "quantise",
    "read_weights",
    "save_model",
    "shipped_bytes",
    "storage_bytes",
]
