"""Spreads blocks of replicas over devices and brings their sums to the host.

Here: devices, blocks, compilation and the return to float64. Not here: the loop
(`replay`). Blocks never talk to each other, so the program has no collectives and its
results do not change with the number of devices or the size of a block.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array, lax
from jax.sharding import AxisType, Mesh, PartitionSpec

from jsplit.engine import replay
from jsplit.engine.reduce import Pair
from jsplit.engine.schedule import Numbers, Schedule, make_numbers
from jsplit.engine.settings import Run
from jsplit.engine.tables import Tables
from jsplit.policies.base import Selector

# On a CPU the state of a block should fit a core's L2 cache (300 KB for 12 arms), yet
# a step must outweigh the cost of launching its dozen kernels. Of 256 to 4096, 2048 was
# fastest on 2 Cascade Lake cores. Accelerators want all replicas at once.
CPU_BLOCK = 2048
VECTOR = 16  # float32 lanes of the widest CPU vectors: blocks are multiples of it
BLOCKS_PER_CALL = 4  # so that a long evaluation shows progress and can be interrupted
# Each core is a device, so splitting a kernel over cores only makes them wait for each
# other. XLA's default, 256-bit vectors, took 1.3 times as long. Both concern CPUs only.
COMPILER_OPTIONS = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_cpu_prefer_vector_width": 512,
}


class UnderCondition(NamedTuple):
    """Sums of R replicas over the steps of each of M conditions, in float64."""

    reward: np.ndarray  # [R, M]
    cost: np.ndarray  # [R, M]
    realised_regret: np.ndarray  # [R, M]
    correct: np.ndarray  # [R, M]
    offloaded: np.ndarray  # [R, M]


class Replicas(NamedTuple):
    """Sums of R replicas on the host, in float64."""

    reward: np.ndarray  # [R] summed over the steps
    cost: np.ndarray  # [R]
    correct: np.ndarray  # [R]
    offloaded: np.ndarray  # [R]
    pulls: np.ndarray  # [R, M * K] int32, by condition and plan
    pseudo_regret: np.ndarray  # [R, checkpoints]
    realised_regret: np.ndarray  # [R, checkpoints]
    best: np.ndarray  # [R, checkpoints] int32: steps with the best plan
    rows: np.ndarray | None  # [R, T] int32: sample under a condition
    arms: np.ndarray | None  # [R, T] int32
    visits: np.ndarray | None  # [R, M * K * (L + 1)] int32
    by_condition: UnderCondition | None  # None if there is one condition


def use_all_cores() -> None:
    """Makes one JAX CPU device per core, if JAX has not started and nobody chose.

    XLA runs a block on one device and leaves other cores idle, so each core gets a
    device. JSPLIT_CPU_DEVICES=n chooses n; JAX's own settings win over both.
    """
    chosen = jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]
    if chosen or "host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    wanted = os.environ.get("JSPLIT_CPU_DEVICES", "")
    cores = int(wanted) if wanted.isdigit() and int(wanted) else _available_cores()
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        return  # JAX already started: use the devices there are


def run_replicas(
    selector: Selector,
    params: Any,
    tables: Tables,
    schedule: Schedule,
    run: Run,
    *,
    advance: Callable[[int], None] = lambda replicas: None,
) -> Replicas:
    """Runs R replicas of a policy and returns their sums.

    Args:
        selector: structure of the policy.
        params: its numbers.
        tables: outcomes of its plans.
        schedule: segments of the T steps.
        run: everything else.
        advance: called with the number of replicas finished.
    """
    devices = tuple(jax.devices()) if run.devices is None else run.devices
    block_size = _block_size(run.num_replicas, devices, run.block_size)
    blocks = -(-run.num_replicas // (len(devices) * block_size))
    per_call = len(devices) * min(blocks, BLOCKS_PER_CALL) * block_size
    mesh = Mesh(np.array(devices), ("replica",), axis_types=(AxisType.Auto,))
    steps = run.horizon if run.keep.steps else None
    program = replay.Program(
        selector, run.stream, len(run.checkpoints), steps, run.keep.visits
    )
    plays = tables.num_plans if selector.initial_plays else 0
    numbers = make_numbers(run.protocol, plays)
    seed = jax.random.key(run.seed)
    parts = []
    for first in range(0, run.num_replicas, per_call):
        replicas = run.first_replica + first + np.arange(per_call, dtype=np.int32)
        keys = _keys(seed, replicas.reshape(-1, block_size), tables.num_samples)
        part = _run_call(program, mesh, params, tables, keys, schedule, numbers)
        kept = min(per_call, run.num_replicas - first)
        parts.append(_to_host(part, steps, kept))
        advance(kept)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


@functools.partial(
    jax.jit, static_argnames=("program", "mesh"), compiler_options=COMPILER_OPTIONS
)
def _run_call(
    program: replay.Program,
    mesh: Mesh,
    params: Any,
    tables: Tables,
    keys: replay.ReplicaKeys,
    schedule: Schedule,
    numbers: Numbers,
) -> replay.Replayed:
    """Runs blocks of replicas; every leaf, of keys too, has a leading axis [blocks]."""

    def on_device(params, tables, schedule, numbers, keys):
        def one(keys):
            block = replay.Block(program, params, tables, schedule, numbers, keys)
            return replay.replay_block(block)

        return lax.map(one, keys)

    same, split = PartitionSpec(), PartitionSpec("replica")
    return jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(same, same, same, same, split),
        out_specs=split,
        check_vma=False,
    )(params, tables, schedule, numbers, keys)


@functools.partial(jax.jit, static_argnames="num_samples")
def _keys(key: Array, replicas: Array, num_samples: int) -> replay.ReplicaKeys:
    """Returns the keys of [blocks, lanes] replicas, apart: every policy shares them."""
    return jax.vmap(lambda block: replay.replica_keys(key, block, num_samples))(
        replicas
    )


def _to_host(part: replay.Replayed, steps: int | None, kept: int) -> Replicas:
    def lanes_first(values: Any) -> np.ndarray:
        # [blocks, ..., lanes] -> [blocks * lanes, ...]
        moved = np.moveaxis(np.asarray(values), -1, 1)
        return moved.reshape(-1, *moved.shape[2:])[:kept]

    def total(pair: Pair) -> np.ndarray:
        high, low = (lanes_first(x).astype(np.float64) for x in pair)
        return high + low

    sums, split = part.totals.all_steps, part.totals.by_condition
    curves = lanes_first(part.curves).astype(np.float64).sum(-1)  # high + low
    recorded = steps is not None
    return Replicas(
        total(sums.reward),
        total(sums.cost),
        lanes_first(sums.correct).astype(np.float64),
        lanes_first(sums.offloaded).astype(np.float64),
        lanes_first(part.pulls),
        curves[:, :, 0],
        curves[:, :, 1],
        lanes_first(part.best),
        lanes_first(part.rows)[:, :steps] if recorded else None,
        lanes_first(part.arms)[:, :steps] if recorded else None,
        None if part.visits is None else lanes_first(part.visits),
        None
        if split is None
        else UnderCondition(
            total(split.reward),
            total(split.cost),
            total(split.realised_regret),
            lanes_first(split.correct).astype(np.float64),
            lanes_first(split.offloaded).astype(np.float64),
        ),
    )


def _block_size(num_replicas: int, devices: Sequence[Any], chosen: int | None) -> int:
    each = -(-num_replicas // len(devices))
    if chosen is None:
        chosen = CPU_BLOCK if devices[0].platform == "cpu" else each
        each = -(-each // VECTOR) * VECTOR
    return min(chosen, each)


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
