"""Every network that has a name, in one dictionary: `jsplit train --model NAME`.

A new network is one file in `networks` and one line here.
"""

import inspect
from collections.abc import Iterable
from typing import Any

from flax import nnx

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.models.networks.bert import BERT
from jsplit.models.networks.cnn import CNN
from jsplit.models.networks.mlp import MLP
from jsplit.models.networks.mobilenet import MobileNetV2
from jsplit.models.networks.resnet import ResNet
from jsplit.models.networks.sparse_mlp import SparseMLP
from jsplit.types import JsplitError

REGISTRY: dict[str, type[MultiExit]] = {
    "cnn": CNN,
    "mlp": MLP,
    "sparse_mlp": SparseMLP,
    "resnet": ResNet,
    "mobilenet_v2": MobileNetV2,
    "bert": BERT,
}


def model_names() -> list[str]:
    """Returns the names of all networks."""
    return list(REGISTRY)


def model_arguments(name: str) -> list[str]:
    """Returns the names of a network's arguments, without `rngs`.

    Raises:
        JsplitError: if there is no such network.
    """
    # NNX hides the signature of the class.
    signature = inspect.signature(
        REGISTRY[checks.choice("model", name, REGISTRY)].__init__
    )
    return [x for x in signature.parameters if x not in ("self", "rngs")]


def check_arguments(name: str, arguments: Iterable[str]) -> None:
    """Raises unless a network's class takes arguments of these names.

    Raises:
        JsplitError: if there is no such network, or if it takes no such argument.
    """
    known = model_arguments(name)
    unknown = [x for x in arguments if x not in known]
    if unknown:
        raise JsplitError(
            f"model {name} takes {', '.join(known)}, got {', '.join(unknown)}"
        )


def make_model(name: str, /, *, rngs: nnx.Rngs, **arguments: Any) -> MultiExit:
    """Builds a network by name.

    Args:
        name: one of `model_names()`.
        rngs: source of the initial weights.
        **arguments: what its class takes.

    Returns:
        the network with random weights.

    Raises:
        JsplitError: if there is no such network, or if it takes no such argument.

    Example:
        >>> from flax import nnx
        >>> from jsplit.models import make_model
        >>> make_model("cnn", num_classes=10, rngs=nnx.Rngs(0)).num_exits
        6
    """
    check_arguments(name, arguments)
    if "num_classes" in model_arguments(name) and "num_classes" not in arguments:
        raise JsplitError(f"model {name} needs num_classes")
    return REGISTRY[name](rngs=rngs, **arguments)
