"""Spreads settings and replicas over devices, and calls them piece by piece.

Here: the compiled programs and the calls to them. Not here: the loop over steps
(`replay`), how the work is laid out (`layout`) and cut (`pace`), sums on the host
(`sums`). Items never talk to each other, so a program has no collectives and its
results do not change with the number of devices or the size of a block.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jsplit.engine import replay
from jsplit.engine.layout import Layout, make_layout
from jsplit.engine.midway import Midway, Saved
from jsplit.engine.pace import Pace, Piece, Place
from jsplit.engine.schedule import Schedule, make_numbers
from jsplit.engine.settings import MAX_INDEX, Run
from jsplit.engine.sums import Replicas, in_order
from jsplit.engine.tables import Tables, flat
from jsplit.policies.base import Selector
from jsplit.seeds import key_of, partitionable
from jsplit.types import JsplitError

SAVE_SECONDS = 30.0  # between two times that the state of a run is saved
COMPILER_OPTIONS = {
    # Each core is a device, so splitting a kernel over cores only makes them wait for
    # each other. XLA's default, 256-bit vectors, took 1.3 times as long.
    "xla_cpu_multi_thread_eigen": False,
    "xla_cpu_prefer_vector_width": 512,
    # A GPU gets all loops as one graph. By default the host launches the kernels of
    # every step, and waits to read whether there is another one. Around the loops are
    # fewer kernels than XLA makes a graph of by default.
    "xla_gpu_enable_command_buffer": "FUSION,CUSTOM_CALL,DYNAMIC_SLICE_FUSION,WHILE,"
    "CONDITIONAL",
    "xla_gpu_graph_min_graph_size": 1,
}
EVERYWHERE = PartitionSpec()
BY_SETTING = PartitionSpec("setting")
BY_REPLICA = PartitionSpec("replica")
BY_ITEM = PartitionSpec("setting", "replica")


class Inputs(NamedTuple):
    """What stays the same from call to call."""

    params: Any  # leaves [S, ...]
    tables: Any  # leaves [S, ...]
    schedule: Any
    numbers: Any


class Held(NamedTuple):
    """What a call hands to the next."""

    kept: replay.Replayed  # of all items: [groups, blocks, G, ..., lanes]
    carry: replay.Carry  # of the item at hand, for every device: [1, 1, ...]


INPUTS = Inputs(BY_SETTING, BY_SETTING, EVERYWHERE, EVERYWHERE)


@partitionable
def run_replicas(
    selector: Selector,
    params: Any,
    tables: Tables,
    schedule: Schedule,
    run: Run,
    *,
    advance: Callable[[int], None] = lambda replicas: None,
    midway: Midway | None = None,
) -> Replicas:
    """Runs S settings x R replicas of one policy structure and returns their sums.

    Every setting has the bits that it has alone. All see the same streams.

    Args:
        selector: structure of the policy.
        params: its numbers, leaves [S, ...].
        tables: outcomes of its plans, leaves [S, ...].
        schedule: segments of the T steps.
        run: everything else.
        advance: called about once a second, in the whole number of replicas, of S x R,
            that the work done since the last call comes to. What it raises ends the
            run.
        midway: where the state is kept, so that a run goes on where it was stopped by
            KeyboardInterrupt or SystemExit, raised by a signal or by `advance`, or up
            to `SAVE_SECONDS` before it was killed. A state laid out otherwise, as with
            other devices, is not used.

    Returns:
        Sums, leaves [S, R, ...].

    Raises:
        JsplitError: if the settings of a device have more cells than int32 numbers.
    """
    layout = make_layout(tables.gap.shape[0], run)
    _check_size(layout, tables)
    steps = run.horizon if run.keep.steps else None
    program = replay.Program(
        selector, run.stream, len(run.checkpoints), steps, run.keep.visits
    )
    plays = tables.num_plans if selector.initial_plays else 0
    numbers = make_numbers(run.protocol, plays)
    inputs = _placed(layout, Inputs(params, tables, schedule, numbers))

    @functools.lru_cache(1)
    def keys(part: int) -> replay.ReplicaKeys:
        return _keys(run, layout, part, tables.num_samples)

    now = _Now([], _empty(program, layout, inputs, keys(0)), Place(0, 0))
    if midway is not None:
        now = _restored(midway.load(), now, layout)
    pace = Pace(schedule, layout.group * layout.lanes)
    whole = layout.items * pace.horizon
    parts = -(-run.num_replicas // layout.replicas)
    told, saved = 0, time.monotonic()

    def tell() -> int:
        share = (len(now.parts) + pace.steps(now.place) / whole) / parts
        done = int(layout.num_settings * run.num_replicas * share)
        advance(done - told)
        return done

    try:
        if now.parts or now.place != Place(0, 0):
            told = tell()
        while len(now.parts) < parts:
            piece = pace.piece(now.place, layout.items)
            before, began = pace.steps(now.place), time.perf_counter()
            # One assignment, so that an interrupt finds what belongs together.
            now = now._replace(
                held=_run_piece(
                    program, layout, inputs, keys(len(now.parts)), now.held, piece
                ),
                place=pace.after(piece),
            )
            jax.block_until_ready(now.held)
            steps = pace.steps(now.place) - before
            pace.took(steps, time.perf_counter() - began)
            if now.place.item == layout.items:
                now = now.fetched()
            told = tell()
            if midway is not None and time.monotonic() - saved > SAVE_SECONDS:
                midway.save(now.saved(layout))
                saved = time.monotonic()
    except (KeyboardInterrupt, SystemExit):
        if midway is not None and now.is_whole():
            midway.save(now.saved(layout))
        raise
    return in_order(now.parts, layout, run)


class _Now(NamedTuple):
    """Where a run stands, and all that is known by then."""

    parts: list[replay.Replayed]  # of replicas that are finished, on the host
    held: Held
    place: Place

    def fetched(self) -> "_Now":
        """Returns the state after the last item: its sums are on the host."""
        part = jax.device_get(self.held.kept)
        return _Now([*self.parts, part], self.held, Place(0, 0))

    def is_whole(self) -> bool:
        """Tells whether a call has not just been handed the state."""
        return not any(leaf.is_deleted() for leaf in jax.tree.leaves(self.held))

    def saved(self, layout: Layout) -> Saved:
        """Returns what is written to a file."""
        leaves = jax.tree.leaves((self.parts, self.held))
        position = (*layout.sizes, len(self.parts), *self.place)
        return Saved(position, [np.asarray(leaf) for leaf in leaves])


def _restored(saved: Saved | None, first: _Now, layout: Layout) -> _Now:
    """Returns the state that was saved, or `first` if it does not fit."""
    *sizes, parts, item, segment = (0, 0, 0) if saved is None else saved.position
    if saved is None or tuple(sizes) != layout.sizes:
        return first
    like = [*[first.held.kept] * parts, *first.held]
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(like)]
    if shapes != [(leaf.shape, leaf.dtype) for leaf in saved.leaves]:
        return first
    *kept, last, carry = jax.tree.unflatten(jax.tree.structure(like), saved.leaves)
    spread = jax.tree.map(lambda leaf: leaf.sharding, first.held)
    held = jax.device_put(Held(last, carry), spread)
    return _Now(kept, held, Place(item, segment))


def _check_size(layout: Layout, tables: Tables) -> None:
    """Raises unless int32 can number the cells of a device's `flat` tables."""
    own = layout.settings, tables.num_conditions, tables.num_samples, tables.num_plans
    if math.prod(own) > MAX_INDEX:
        raise JsplitError(
            "settings of a device x conditions x samples x plans must be at most "
            f"{MAX_INDEX}, got {' x '.join(map(str, own))}"
        )


def _placed(layout: Layout, inputs: Inputs) -> Inputs:
    """Returns the inputs on the devices that need them."""
    spread = (NamedSharding(layout.mesh, spec) for spec in INPUTS)
    return jax.device_put(inputs, Inputs(*spread))


def _on_devices(mesh: Mesh, body: Callable, *specs: Any, out: Any) -> Callable:
    return jax.shard_map(
        body, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False
    )


@functools.partial(jax.jit, static_argnames=("program", "layout"))
def _empty(
    program: replay.Program, layout: Layout, inputs: Inputs, keys: replay.ReplicaKeys
) -> Held:
    """Returns zeros for what the first call is handed."""

    def on_device(inputs: Inputs, keys: replay.ReplicaKeys) -> Held:
        def first(inputs: Inputs, keys: replay.ReplicaKeys) -> replay.Carry:
            return replay.start(_block(program, layout, inputs, keys, jnp.int32(0)))

        def zeros(*axes: int) -> Callable[[Any], Array]:
            return lambda one: lax.full((*axes, *one.shape), 0, one.dtype)

        carry = jax.eval_shape(first, inputs, keys)
        return Held(
            jax.tree.map(zeros(layout.groups, layout.blocks), carry.kept),
            jax.tree.map(zeros(1, 1), carry),
        )

    specs = INPUTS, BY_REPLICA
    return _on_devices(layout.mesh, on_device, *specs, out=BY_ITEM)(inputs, keys)


@functools.partial(
    jax.jit,
    static_argnames=("program", "layout"),
    donate_argnames="held",
    compiler_options=COMPILER_OPTIONS,
)
def _run_piece(
    program: replay.Program,
    layout: Layout,
    inputs: Inputs,
    keys: replay.ReplicaKeys,
    held: Held,
    piece: Piece,
) -> Held:
    """Runs segments of items; the same program starts them and goes on with them."""
    num_segments = inputs.schedule.start.size

    def on_device(
        inputs: Inputs, keys: replay.ReplicaKeys, held: Held, piece: Piece
    ) -> Held:
        # Loops of one round or none: XLA copies what a branch only passes through.
        starts = (piece.first_segment == 0).astype(jnp.int32)
        ends = (piece.last_segment == num_segments).astype(jnp.int32)

        def one(item: Array, done: tuple[Any, Any]) -> tuple[Any, Any]:
            kept, carry = done
            block = _block(program, layout, inputs, keys, item)
            carry = lax.fori_loop(
                0, starts, lambda _, carry: replay.start(block), carry
            )
            carry = replay.run(block, piece.first_segment, piece.last_segment, carry)
            at = (item // layout.blocks, item % layout.blocks)

            def put(_: Any, kept: Any) -> Any:
                return jax.tree.map(lambda x, y: x.at[at].set(y), kept, carry.kept)

            return lax.fori_loop(0, ends, put, kept), carry

        carry = jax.tree.map(lambda leaf: leaf[0, 0], held.carry)
        kept, carry = lax.fori_loop(
            piece.first_item, piece.last_item, one, (held.kept, carry)
        )
        return Held(kept, jax.tree.map(lambda leaf: leaf[None, None], carry))

    specs = INPUTS, BY_REPLICA, BY_ITEM, EVERYWHERE
    return _on_devices(layout.mesh, on_device, *specs, out=BY_ITEM)(
        inputs, keys, held, piece
    )


def _block(
    program: replay.Program,
    layout: Layout,
    inputs: Inputs,
    keys: replay.ReplicaKeys,
    item: Array,
) -> replay.Block:
    """Returns an item of a device: a group of settings x a block of replicas."""
    group, block = item // layout.blocks, item % layout.blocks
    settings = group * layout.group + jnp.arange(layout.group, dtype=jnp.int32)
    settings = jnp.minimum(settings, layout.settings - 1)
    return replay.Block(
        program,
        jax.tree.map(lambda leaf: leaf[settings], inputs.params),
        settings,
        flat(inputs.tables),
        inputs.schedule,
        inputs.numbers,
        jax.tree.map(lambda leaf: leaf[block], keys),
    )


def _keys(run: Run, layout: Layout, part: int, num_samples: int) -> replay.ReplicaKeys:
    """Returns the keys of some replicas, apart: every policy shares them."""
    first = run.first_replica + part * layout.replicas
    replicas = first + np.arange(layout.replicas, dtype=np.int32)
    replicas = replicas.reshape(-1, layout.lanes)
    return _make_keys(layout.mesh, num_samples, key_of(run.seed), replicas)


# Compiled without effort: it runs once, for milliseconds.
@functools.partial(
    jax.jit,
    static_argnames=("mesh", "num_samples"),
    compiler_options={"xla_backend_optimization_level": 0},
)
def _make_keys(
    mesh: Mesh, num_samples: int, key: Array, replicas: Array
) -> replay.ReplicaKeys:
    """Returns the keys of [blocks, lanes] replicas, leaves [blocks, ..., lanes]."""

    def on_device(key: Array, replicas: Array) -> replay.ReplicaKeys:
        return jax.vmap(lambda block: replay.replica_keys(key, block, num_samples))(
            replicas
        )

    specs = EVERYWHERE, BY_REPLICA
    return _on_devices(mesh, on_device, *specs, out=BY_REPLICA)(key, replicas)
