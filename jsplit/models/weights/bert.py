"""Which tensor of a BERT or ElasticBERT file is which array of `BERT`.

Here: their names. Not here: reading files, shapes and faults (`tensors`).
"""

import re
from collections.abc import Mapping

import numpy as np

from jsplit.models.networks.bert import BERT
from jsplit.models.weights.tensors import Source, fill, linear, renamed
from jsplit.types import JsplitError

# The network inside a larger one, and names that TensorFlow's BERT gave layer norms.
PREFIX = re.compile(r"^(module\.)?((elastic)?bert\.)?")
OLD = {"gamma": "weight", "beta": "bias"}
# Heads of the pre-training, and positions 0, 1, 2, ... that old versions stored.
IGNORED = re.compile(r"^cls\.|^embeddings\.(position_ids|token_type_ids)$")
# (ours, theirs) within a layer and within the embeddings.
DENSE = {
    "attention.qkv": tuple(
        f"attention.self.{part}" for part in ("query", "key", "value")
    ),
    "attention.out": ("attention.output.dense",),
    "widen": ("intermediate.dense",),
    "narrow": ("output.dense",),
}
NORMS = {
    "attention_norm": "attention.output.LayerNorm",
    "norm": "output.LayerNorm",
}
NORM = {"scale": "weight", "bias": "bias"}
TABLES = {
    "words": "word_embeddings",
    "positions": "position_embeddings",
    "segments": "token_type_embeddings",
}


def load_bert(
    model: BERT,
    tensors: Mapping[str, np.ndarray],
    file: str,
    *,
    random_exits: bool = False,
) -> None:
    """Replaces the weights of a `BERT` by those of a BERT or ElasticBERT file.

    Names may begin with "bert." or "elasticbert.". ElasticBERT has a pooler and, once
    fine-tuned, a classifier for every exit; BERT's one pooler and classifier are those
    of the last exit. Heads of the pre-training are left out.

    Args:
        model: network of the sizes of the file. It is changed.
        tensors: by name, as `read_weights` gives them.
        file: where they come from, for the message.
        random_exits: whether poolers and classifiers that the file lacks stay as they
            are. False: such a file is refused.

    Raises:
        JsplitError: if tensors are missing, unexpected or misshapen.
    """
    tensors = _our_spelling(tensors)
    exits = _exit_sources(model.num_exits, tensors)
    if random_exits:
        # A pooler or a classifier is left out whole; half of one is a broken file.
        found = {
            path.rpartition(".")[0]
            for path, source in exits.items()
            if any(name in tensors for name in source.names)
        }
        exits = {k: v for k, v in exits.items() if k.rpartition(".")[0] in found}
    try:
        fill(model, {**_layer_sources(model.num_exits), **exits}, tensors, file)
    except JsplitError as error:
        lacking = any(name not in tensors for x in exits.values() for name in x.names)
        hint = "; random_exits=True keeps random exits where it has none"
        told = lacking and not random_exits
        raise JsplitError(f"{error}{hint if told else ''}") from None


def _our_spelling(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors in use under today's names, without a prefix."""
    renamed = {}
    for name, tensor in tensors.items():
        *path, last = PREFIX.sub("", name).split(".")
        name = ".".join([*path, OLD.get(last, last)])
        if not IGNORED.search(name):
            renamed[name] = tensor
    return renamed


def _layer_sources(num_layers: int) -> dict[str, Source]:
    first = "blocks.0.embeddings"
    sources = {
        f"{first}.{ours}.embedding": Source((f"embeddings.{theirs}.weight",))
        for ours, theirs in TABLES.items()
    }
    sources.update(renamed(f"{first}.norm", "embeddings.LayerNorm", NORM))
    for i in range(num_layers):
        block, layer = f"blocks.{i}{'.layer' if i == 0 else ''}", f"encoder.layer.{i}"
        for ours, theirs in DENSE.items():
            names = tuple(f"{layer}.{name}" for name in theirs)
            sources.update(linear(f"{block}.{ours}", *names))
        for ours, theirs in NORMS.items():
            sources.update(renamed(f"{block}.{ours}", f"{layer}.{theirs}", NORM))
    return sources


def _exit_sources(
    num_exits: int, tensors: Mapping[str, np.ndarray]
) -> dict[str, Source]:
    sources = {}
    for i in range(num_exits):
        pooler, classifier = f"encoder.pooler.{i}.dense", f"classifiers.{i}"
        if i == num_exits - 1:  # BERT's own names for its only exit
            if "pooler.dense.weight" in tensors:
                pooler = "pooler.dense"
            if "classifier.weight" in tensors:
                classifier = "classifier"
        sources.update(linear(f"heads.{i}.pooler", pooler))
        sources.update(linear(f"heads.{i}.classifier", classifier))
    return sources
