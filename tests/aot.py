"""The engine compiled for chips that are not here: an H100 and a TPU v5e.

Run by hand, not collected by pytest. It needs `jax-cuda13-plugin[with-cuda]` of JAX's
version for the one, libtpu for the other:

    python tests/aot.py h100              # every policy, each in a process of its own
    python tests/aot.py v5e splitee exp3

Every program must be free of float64 and small in memory. On a GPU the whole call must
be one command buffer, so that the host does not drive the loops, and a step must have
few kernels and copy no state. That it runs is not shown.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")

N, L, REPLICAS = 25_000, 12, 4096
MAX_KERNELS = 12  # of a step, for any policy
MAX_BYTES = 4096  # of temporary memory, for a replica
H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  driver_version: "13.0.0"
  threads_per_block_limit: 1024  threads_per_warp: 32
  threads_per_core_limit: 2048  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  shared_memory_per_block: 49152  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
  core_count: 132  fpus_per_core: 128  clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000  l2_cache_size: 52428800
  device_memory_size: 84929347584
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 minor: 0 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def device_of(target):
    """Returns a device to compile for."""
    from jax._src import xla_bridge
    from jax.experimental import topologies

    if target == "v5e":
        return topologies.get_topology_desc("v5e:2x2", "tpu").devices[0]
    # Without a GPU no backend is known as "gpu" (JAX issue 23971).
    known = xla_bridge.canonicalize_platform
    xla_bridge.canonicalize_platform = lambda x: "cuda" if x == "gpu" else known(x)
    options = {"target_config": H100, "topology": "1x1x1"}
    return topologies.get_topology_desc("", "cuda", **options).devices[0]


def lowered(device, policy):
    """Returns the engine's call for a policy, lowered for a device."""
    import jax
    import numpy as np
    from jax.sharding import NamedSharding

    import jsplit
    from jsplit.engine import replay, shard
    from jsplit.engine.layout import make_layout
    from jsplit.engine.pace import Piece
    from jsplit.engine.schedule import make_numbers, make_schedule
    from jsplit.engine.settings import Run, log_spaced, with_end
    from jsplit.evaluation.binding import bind, prepare
    from jsplit.policies.registry import parse_policy

    rng = np.random.default_rng(0)
    trace = jsplit.Trace.from_arrays(
        np.sort(rng.uniform(0.3, 1, (N, L)), 1),
        prediction=rng.integers(0, 2, (N, L)),
        label=rng.integers(0, 2, N),
        entropy=rng.uniform(0, 0.7, (N, L)),
    )
    scenario = jsplit.Scenario({"trace": (trace, jsplit.Costs.splitee(L))})
    run = Run(N, with_end(log_spaced(N, 64), N), num_replicas=REPLICAS)
    object.__setattr__(run, "devices", (device,))
    bound = bind([prepare(parse_policy(policy), scenario, run.protocol)])
    layout = make_layout(1, run)
    program = replay.Program(
        bound.selector, run.stream, len(run.checkpoints), None, False
    )
    plays = bound.tables.num_plans if bound.selector.initial_plays else 0

    def shapes(tree, spec):
        sharding = NamedSharding(layout.mesh, spec)

        def one(leaf):
            dtype = leaf.dtype if hasattr(leaf, "dtype") else np.result_type(leaf)
            if not jax.numpy.issubdtype(dtype, jax.dtypes.prng_key):
                dtype = jax.dtypes.canonicalize_dtype(dtype)
            return jax.ShapeDtypeStruct(np.shape(leaf), dtype, sharding=sharding)

        return jax.tree.map(one, tree)

    given = (
        bound.params,
        bound.tables,
        make_schedule(run, N),
        make_numbers(run.protocol, plays),
    )
    inputs = shard.Inputs(*map(shapes, given, shard.INPUTS))
    replicas = np.zeros((layout.rows, layout.lanes), np.int32)
    key = jax.random.key(0, impl="threefry2x32")
    made = shard._make_keys.eval_shape(layout.mesh, N, key, replicas)
    keys = shapes(made, shard.BY_REPLICA)
    empty = shard._empty.eval_shape(program, layout, inputs, keys)
    held = shapes(empty, shard.BY_ITEM)
    piece = shapes(Piece(*map(np.int32, (0, 1, 0, 5))), shard.EVERYWHERE)
    return shard._run_piece.lower(program, layout, inputs, keys, held, piece)


def facts(target, policy, dumped):
    """Returns what the compiled program is like."""
    compiled = lowered(device_of(target), policy).compile()
    text, memory = compiled.as_text(), compiled.memory_analysis()
    assert text is not None
    assert memory is not None
    found = {
        "float64": "f64[" in text,
        "bytes": memory.temp_size_in_bytes / REPLICAS,
    }
    if target == "h100":
        (thunks,) = dumped.glob("*run_piece*thunk_sequence_after_thunk_passes.txt")
        lines = thunks.read_text().splitlines()
        first = [line for line in lines if re.match(r"\d+: ", line)]
        found["graphs"] = sum("kCommandBuffer" in line for line in lines)
        found["whole"] = len(first) == 1 and "kCommandBuffer" in first[0]
        found |= of_a_step(lines)
    return found


def of_a_step(lines):
    """Returns the kernels and copies of the innermost loop with the most kernels."""
    bodies: list[dict[str, int]] = []
    depth, inside = -1, False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() == "body:":
            bodies.append({"kernels": 0, "copies": 0, "depth": indent, "loops": 0})
            depth, inside = indent, True
        elif re.match(r"\s*\d+: ", line) and inside:
            if indent <= depth:
                inside = False
                continue
            bodies[-1]["kernels"] += "Kernel" in line
            bodies[-1]["copies"] += "kCopy" in line
            bodies[-1]["loops"] += "kWhile" in line
    deepest = max(body["depth"] for body in bodies)
    steps = [one for one in bodies if one["depth"] == deepest and not one["loops"]]
    step = max(steps, key=lambda one: one["kernels"])
    return {name: step[name] for name in ("kernels", "copies")}


def problems(found):
    """Returns what a program must not be."""
    if "error" in found:
        return [found["error"]]
    wrong = []
    if found["float64"]:
        wrong.append("float64")
    if found["bytes"] > MAX_BYTES:
        wrong.append("too much memory")
    if not found.get("whole", True):
        wrong.append("the host drives a loop")
    if found.get("kernels", 0) + found.get("copies", 0) > MAX_KERNELS:
        wrong.append("too many kernels a step")
    return wrong


def alone(target, policy):
    """Returns the facts, from a process of its own: a failure of XLA aborts."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, target, policy, "--into", folder],
            env={
                **os.environ,
                "XLA_FLAGS": f"--xla_dump_to={folder} --xla_dump_hlo_as_text",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            capture_output=True,
            text=True,
        )
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not last:
        return {"error": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    return json.loads(last[0])


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=("h100", "v5e"))
    parser.add_argument("policies", nargs="*")
    parser.add_argument("--into", type=pathlib.Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.into:
        print(json.dumps(facts(asked.target, asked.policies[0], asked.into)))
        return 0
    import jsplit

    failed = 0
    for policy in asked.policies or jsplit.policy_names():
        found = alone(asked.target, policy)
        wrong = problems(found)
        failed += bool(wrong)
        print(policy, found, *wrong, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
