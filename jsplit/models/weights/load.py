"""`load_weights`: a file that others have trained, into the network it belongs to.

Here: whose loader is whose. A network whose weights can be had gets a line in
`LOADERS`. Called by users and by `bench_models`.
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
        model: A `BERT` or a `MobileNetV2`, of the sizes of the file. It is changed.
        path: What `read_weights` takes.
        **options: Those of the network's loader; for both, `random_exits=True` keeps
            the exits as they are that the file does not have.

    Raises:
        JsplitError: The file cannot be read, its tensors do not fit (missing,
            unexpected and misshapen ones are named), or no weights are known for a
            network of this class.
    """
    loader = LOADERS.get(type(model))
    if loader is None:
        known = ", ".join(one.__name__ for one in LOADERS)
        raise JsplitError(f"model must be one of {known}, got {type(model).__name__}")
    loader(model, read_weights(path), str(path), **options)
