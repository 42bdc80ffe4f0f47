"""PyTorch's BERT and MobileNetV2 with the weights of ours, to be timed beside them.

Here: the networks of others and their passes. Not here: the timing (`bench_models`).
Everything of torch is optional and loads when asked for.
"""

import copy
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jsplit.models import BERT, MobileNetV2
from jsplit.models.networks.mobilenet import (
    LAST_CHANNELS,
    PIXEL_MEAN,
    PIXEL_STD,
    STAGES,
    STEM_CHANNELS,
    STEM_STRIDES,
    divisible,
)
from jsplit.models.weights.bert import load_bert
from jsplit.models.weights.mobilenet import load_mobilenet

Way = Callable[[], object]


def rivals_of(
    model: Any, batch: np.ndarray, report: Callable[[str], None]
) -> dict[str, Way]:
    """Returns passes of PyTorch to a network's final exit, on as many threads.

    There is one per CPU device of JAX. The weights of PyTorch's network are random and
    put into `model`.

    Args:
        model: A `BERT` or a `MobileNetV2`, whose weights change; others have no rival.
        batch: What it takes.
        report: Called with a line where something is not installed.
    """
    needs: dict[type, tuple[tuple[str, ...], Callable[..., dict[str, Way]]]] = {
        BERT: (("torch", "transformers"), _bert),
        MobileNetV2: (("torch",), _mobilenet),
    }
    if type(model) not in needs:
        return {}
    modules, passes = needs[type(model)]
    missing = [name for name in modules if not importlib.util.find_spec(name)]
    if missing:
        report(
            f"{type(model).__name__}: no rival, {' and '.join(missing)} not installed"
        )
        return {}
    found: list[Any] = [importlib.import_module(name) for name in modules]
    torch = found[0]
    torch.set_num_threads(jax.device_count("cpu"))
    return {f"PyTorch, {x}": way for x, way in passes(model, batch, *found).items()}


def _bert(
    model: BERT, texts: np.ndarray, torch: Any, transformers: Any
) -> dict[str, Way]:
    """Returns the passes of BERT in `transformers`, with the final exit's pooler."""
    sizes = dict(model.arguments)
    ids, segments = torch.tensor(texts).long().unbind(1)
    inputs = {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "token_type_ids": segments,
    }

    def way(attention: str) -> tuple[Any, Way]:
        config = transformers.BertConfig(
            vocab_size=sizes["vocab_size"],
            num_hidden_layers=sizes["num_layers"],
            hidden_size=sizes["hidden"],
            num_attention_heads=sizes["num_heads"],
            intermediate_size=sizes["intermediate"],
            max_position_embeddings=sizes["max_length"],
            attn_implementation=attention,
        )
        net = transformers.BertModel(config).eval()

        def run() -> object:
            with torch.no_grad():
                return net(**inputs)

        return net, run

    (sdpa, run_sdpa), (eager, run_eager) = way("sdpa"), way("eager")
    eager.load_state_dict(sdpa.state_dict())
    tensors = {name: tensor.numpy() for name, tensor in sdpa.state_dict().items()}
    load_bert(model, tensors, "transformers", random_exits=True)
    return {"sdpa, final exit only": run_sdpa, "eager, final exit only": run_eager}


def _mobilenet(model: MobileNetV2, images: np.ndarray, torch: Any) -> dict[str, Way]:
    """Returns the passes of `torch_mobilenet`, in both layouts of images."""
    net = torch_mobilenet(torch, dict(model.arguments))
    tensors = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    load_mobilenet(model, tensors, "torch", random_exits=True)
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (PIXEL_MEAN, PIXEL_STD))
    pixels = torch.tensor(images).permute(0, 3, 1, 2)

    def way(layout: Any) -> Way:
        here = copy.deepcopy(net).to(memory_format=layout)
        x = pixels.contiguous(memory_format=layout)

        def run() -> object:
            with torch.no_grad():
                return here((x - mean) / std)

        return run

    return {
        "channels first, final exit only": way(torch.contiguous_format),
        "channels last, final exit only": way(torch.channels_last),
    }


def torch_mobilenet(torch: Any, sizes: dict[str, Any]) -> Any:
    """Returns MobileNetV2 without side exits in PyTorch, in evaluation mode.

    Weights are PyTorch's random ones, statistics of batch norm those it is born with,
    names those of torchvision, which need not be installed.

    Args:
        torch: The module.
        sizes: Arguments of `MobileNetV2`.
    """
    nn = torch.nn

    def conv(before: int, after: int, size: int, stride: int = 1, groups: int = 1):
        return nn.Conv2d(
            before, after, size, stride, size // 2, groups=groups, bias=False
        )

    def active(before: int, after: int, *args: int) -> Any:
        return nn.Sequential(
            conv(before, after, *args), nn.BatchNorm2d(after), nn.ReLU6(inplace=True)
        )

    class Residual(nn.Module):
        def __init__(self, before: int, after: int, stride: int, expansion: int):
            super().__init__()
            hidden = before * expansion
            layers = [
                active(hidden, hidden, 3, stride, hidden),
                conv(hidden, after, 1),
                nn.BatchNorm2d(after),
            ]
            if expansion > 1:
                layers.insert(0, active(before, hidden, 1))
            self.conv = nn.Sequential(*layers)
            self.adds = stride == 1 and before == after

        def forward(self, x: Any) -> Any:
            return x + self.conv(x) if self.adds else self.conv(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            first, second = STEM_STRIDES[sizes["stem"]]
            channels = divisible(STEM_CHANNELS * sizes["width"])
            features = [active(sizes["in_channels"], channels, 3, first)]
            for number, stage in enumerate(STAGES, start=1):
                after = divisible(stage.channels * sizes["width"])
                stride = second if number == 2 else stage.stride
                for block in range(stage.blocks):
                    step = stride if block == 0 else 1
                    features.append(Residual(channels, after, step, stage.expansion))
                    channels = after
            last = divisible(LAST_CHANNELS * max(1.0, sizes["width"]))
            self.features = nn.Sequential(*features, active(channels, last, 1))
            linear = nn.Linear(last, sizes["num_classes"])
            self.classifier = nn.Sequential(nn.Dropout(), linear)

        def forward(self, x: Any) -> Any:
            return self.classifier(self.features(x).mean((2, 3)))

    return Net().eval()
