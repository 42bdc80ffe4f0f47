"""What is timed beside ours: replays and networks as they are usually written.

Here: replays in idiomatic JAX, NumPy and a Python loop; PyTorch's BERT and MobileNetV2
with the weights of ours. Not here: the timing (`bench.engine`, `bench.models`). flax
and torch load when networks are asked for; torch is optional.
"""

import copy
import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsplit.seeds import key_of

if TYPE_CHECKING:
    from jsplit.models import BERT, MobileNetV2

Way = Callable[[], object]

LOOP_STEPS = 3_000  # steps of the Python loop: one replica is plenty for a mean
NUMPY_REPLICAS = 1_000
NUMPY_STEPS = 300


def rival_replays(
    rewards: np.ndarray,
    shipped: np.ndarray,
    side_information: bool,
    num_replicas: int,
    seed: int,
) -> dict[str, tuple[Way, int]]:
    """Returns other ways to replay SplitEE, each with how many steps it walks.

    Args:
        rewards: [N, L] reward of every split for every sample.
        shipped: [N, L] whether it ships the sample.
        side_information: whether shallower splits are learned too, as in SplitEE-S.
        num_replicas: replicas of idiomatic JAX, >= 1; the others walk fewer.
        seed: of the orders, >= 0.
    """

    def idiomatic_jax() -> object:
        keys = jax.random.split(key_of(seed), num_replicas)
        tables = jnp.asarray(rewards), jnp.asarray(shipped)
        return jax.block_until_ready(_idiomatic_jax(*tables, keys, side_information))

    def numpy_over_replicas() -> object:
        return _numpy_over_replicas(rewards, shipped, side_information, seed)

    def python_loop() -> object:
        return _python_loop(rewards, shipped, side_information, seed)

    return {
        "idiomatic JAX": (idiomatic_jax, num_replicas * len(rewards)),
        "NumPy over replicas": (numpy_over_replicas, NUMPY_REPLICAS * NUMPY_STEPS),
        "Python loop": (python_loop, LOOP_STEPS),
    }


@functools.partial(jax.jit, static_argnums=3)
def _idiomatic_jax(
    rewards: Array, shipped: Array, keys: Array, side_information: bool
) -> tuple[Array, ...]:
    """Returns mean reward, fraction shipped and pulls, as one would first write it."""
    num_samples, num_exits = rewards.shape
    arms = jnp.arange(num_exits)

    def one_replica(key: Array) -> tuple[Array, ...]:
        def step(state, sample):
            mean, count, t = state
            bonus = jnp.sqrt(jnp.log(t) / jnp.maximum(count, 1))
            arm = jnp.argmax(jnp.where(count == 0, jnp.inf, mean + bonus))
            if side_information:
                row, ship = rewards[sample], shipped[sample]
                known = (arms <= arm) & (~ship | ship[arm] | (arm == num_exits - 1))
                count = count + known
                mean = jnp.where(known, mean + (row - mean) / count, mean)
            else:
                count = count.at[arm].add(1)
                change = (rewards[sample, arm] - mean[arm]) / count[arm]
                mean = mean.at[arm].add(change)
            return (mean, count, t + 1), (
                rewards[sample, arm],
                shipped[sample, arm],
                arm,
            )

        order = jax.random.permutation(key, num_samples)
        start = (jnp.zeros(num_exits), jnp.zeros(num_exits), jnp.float32(1))
        _, (reward, ship, arm) = lax.scan(step, start, order)
        return reward.mean(), ship.mean(), jnp.bincount(arm, length=num_exits)

    return jax.vmap(one_replica)(keys)


def _numpy_over_replicas(
    rewards: np.ndarray, shipped: np.ndarray, side_information: bool, seed: int
) -> np.ndarray:
    num_samples, num_exits = rewards.shape
    rng = np.random.default_rng(seed)
    replicas, arms = np.arange(NUMPY_REPLICAS), np.arange(num_exits)
    shape = (NUMPY_REPLICAS, num_exits)
    mean, count, total = np.zeros(shape), np.zeros(shape), np.zeros(NUMPY_REPLICAS)
    # A shuffle of as many elements as are walked: its cost per step is what counts.
    orders = np.stack([rng.permutation(NUMPY_STEPS) for _ in replicas]) % num_samples
    for t in range(1, NUMPY_STEPS + 1):
        sample = orders[:, t - 1]
        if t <= num_exits:
            arm = np.full(NUMPY_REPLICAS, t - 1)
        else:
            arm = (mean + np.sqrt(np.log(t) / np.maximum(count, 1))).argmax(1)
        if side_information:
            ship = shipped[sample]
            ours = ship[replicas, arm] | (arm == num_exits - 1)
            known = (arms <= arm[:, None]) & (~ship | ours[:, None])
            count += known
            gain = (rewards[sample] - mean) / np.maximum(count, 1)
            mean += np.where(known, gain, 0)
        else:
            count[replicas, arm] += 1
            gain = rewards[sample, arm] - mean[replicas, arm]
            mean[replicas, arm] += gain / count[replicas, arm]
        total += rewards[sample, arm]
    return total


def _python_loop(
    rewards: np.ndarray, shipped: np.ndarray, side_information: bool, seed: int
) -> float:
    num_samples, num_exits = rewards.shape
    order = np.random.default_rng(seed).permutation(num_samples)
    mean, count, total = np.zeros(num_exits), np.zeros(num_exits), 0.0
    for t in range(1, LOOP_STEPS + 1):
        sample = order[(t - 1) % num_samples]
        if t <= num_exits:
            arm = t - 1
        else:
            arm = int(np.argmax(mean + np.sqrt(np.log(t) / np.maximum(count, 1))))
        shallower = range(arm + 1) if side_information else (arm,)
        final_known = shipped[sample, arm] or arm == num_exits - 1
        for j in shallower:
            if j == arm or not shipped[sample, j] or final_known:
                count[j] += 1
                mean[j] += (rewards[sample, j] - mean[j]) / count[j]
        total += rewards[sample, arm]
    return total


def rivals_of(
    model: Any, batch: np.ndarray, report: Callable[[str], None]
) -> dict[str, Way]:
    """Returns passes of PyTorch to a network's final exit, on as many threads.

    There is one per CPU device of JAX. The weights of PyTorch's network are random and
    put into `model`.

    Args:
        model: a `BERT` or a `MobileNetV2`, whose weights change; others have no rival.
        batch: what it takes.
        report: called with a line where something is not installed.
    """
    from jsplit.models import BERT, MobileNetV2

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
    model: "BERT", texts: np.ndarray, torch: Any, transformers: Any
) -> dict[str, Way]:
    """Returns the passes of BERT in `transformers`, with the final exit's pooler."""
    from jsplit.models.weights.bert import load_bert

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


def _mobilenet(model: "MobileNetV2", images: np.ndarray, torch: Any) -> dict[str, Way]:
    """Returns the passes of `torch_mobilenet`, in both layouts of images."""
    from jsplit.models.networks.mobilenet import PIXEL_MEAN, PIXEL_STD
    from jsplit.models.weights.mobilenet import load_mobilenet

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
        torch: the module.
        sizes: arguments of `MobileNetV2`.
    """
    from jsplit.models.networks import mobilenet

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
            first, second = mobilenet.STEM_STRIDES[sizes["stem"]]
            channels = mobilenet.divisible(mobilenet.STEM_CHANNELS * sizes["width"])
            features = [active(sizes["in_channels"], channels, 3, first)]
            for number, stage in enumerate(mobilenet.STAGES, start=1):
                after = mobilenet.divisible(stage.channels * sizes["width"])
                stride = second if number == 2 else stage.stride
                for block in range(stage.blocks):
                    step = stride if block == 0 else 1
                    features.append(Residual(channels, after, step, stage.expansion))
                    channels = after
            last = mobilenet.divisible(
                mobilenet.LAST_CHANNELS * max(1.0, sizes["width"])
            )
            self.features = nn.Sequential(*features, active(channels, last, 1))
            linear = nn.Linear(last, sizes["num_classes"])
            self.classifier = nn.Sequential(nn.Dropout(), linear)

        def forward(self, x: Any) -> Any:
            return self.classifier(self.features(x).mean((2, 3)))

    return Net().eval()
