"""`load_weights`: a file that others have trained, into the network it belongs to.

Here: which network has which loader. A new one is a line in `LOADERS`. Not here: the
loaders, one file per network.
"""

import os
from collections.abc import Callable
from typing import Any

from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.bert import BERT
from jsplit.models.networks.mobilenet import MobileNetV2
from jsplit.models.weights.bert import load_bert
from jsplit.models.weights.mobilenet import load_mobilenet
from jsplit.models.weights.tensors import read_weights
from jsplit.types import JsplitError

# (model, tensors, file, **options) -> None
LOADERS: dict[type[MultiExit], Callable[..., None]] = {
    BERT: load_bert,
    MobileNetV2: load_mobilenet,
}


def load_weights(
    model: MultiExit, path: str | os.PathLike[str], **options: Any
) -> None:
    """Replaces the weights of a network by those that others have trained.

    Args:
        model: a `BERT` or a `MobileNetV2`, of the sizes of the file. It is changed.
        path: the file or folder; see `read_weights`.
        **options: those of the network's loader. Both take `random_exits=True`: exits
            that the file does not have stay as they are.

    Raises:
        JsplitError: if the file cannot be read, if its tensors do not fit (missing,
            unexpected and misshapen ones are named), or if no weights are known for a
            network of this class.
    """
    loader = LOADERS.get(type(model))
    if loader is None:
        known = ", ".join(one.__name__ for one in LOADERS)
        raise JsplitError(f"model must be one of {known}, got {type(model).__name__}")
    loader(model, read_weights(path), str(path), **options)
