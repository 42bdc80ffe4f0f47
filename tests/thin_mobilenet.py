"""A thin MobileNetV2 with random weights and statistics, built without compiling."""

import numpy as np
from flax import nnx

from jsplit.models import MobileNetV2
from jsplit.models.weights.mobilenet import _exits, _features
from jsplit.models.weights.tensors import Source, fill, variables


def thin_mobilenet(num_classes=3, *, seed=0, **kwargs):
    """All arrays, stored statistics too, are random and none is what it is born as."""
    kwargs = {"width": 0.05, "stem": "imagenet", **kwargs}
    model = nnx.eval_shape(lambda: MobileNetV2(num_classes, **kwargs, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(seed)
    arrays = {
        path: random_array(rng, path.rpartition(".")[2], variable.shape)
        for path, variable in variables(model).items()
    }
    fill(model, {path: Source((path,)) for path in arrays}, arrays, "random")
    for _, module in nnx.iter_graph(model):
        if isinstance(module, nnx.RngStream):
            nnx.update(module, nnx.state(nnx.Rngs(0).default))
    return model


def random_array(rng, kind, shape):
    if kind in ("var", "scale"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    deviation = (2 / np.prod(shape[:-1])) ** 0.5 if kind == "kernel" else 0.2
    return rng.normal(0, deviation, shape).astype(np.float32)


def as_torchvision(model):
    """What torchvision would have saved of a network, side exits included."""
    arrays = variables(model)
    found = {}
    for path, source in (_features(model) | _exits(model)).items():
        value = np.asarray(arrays[path][...])
        if source.axes is not None:
            value = value.transpose(np.argsort(source.axes))
        found[source.names[0]] = value
    return found
