"""Which weights of a layer exist: patterns drawn once, before any training.

Here: `Pattern`, what a user asks for; `Junction`, what it comes to in a layer of given
sizes; the draws, in NumPy. Not here: weights, or computing with a pattern (`layers`).

A junction joins n_in left neurons to n_out right ones. Every left neuron has d_out
edges and every right one d_in, so |W| = n_in d_out = n_out d_in. The density
|W| / (n_in n_out) can therefore only be k / gcd(n_in, n_out), k = 1, 2, ...

References: Dey, Huang, Beerel, Chugg, "Pre-Defined Sparse Neural Networks with
Hardware Acceleration", arXiv 1812.01164; for split computing arXiv 2407.11763.
"""

import dataclasses
import math

import numpy as np

from jsplit import checks
from jsplit.types import JsplitError

KINDS = ("structured", "random", "clash_free_1", "clash_free_2", "clash_free_3")
FORMS = ("fast", "compact")
DEGREES = ("in_degree", "out_degree", "density")


@dataclasses.dataclass(frozen=True)
class Junction:
    """Sizes and degrees of a junction; `Pattern.junction` makes it.

    Attributes:
        num_inputs: n_in, left neurons.
        num_outputs: n_out, right neurons.
        in_degree: d_in, edges of each right neuron, 1..n_in.
        out_degree: d_out, edges of each left neuron, 1..n_out.
    """

    num_inputs: int
    num_outputs: int
    in_degree: int
    out_degree: int

    @property
    def num_weights(self) -> int:
        """|W| = n_out d_in = n_in d_out."""
        return self.num_outputs * self.in_degree

    @property
    def density(self) -> float:
        """|W| / (n_in n_out), in (0, 1]."""
        return self.in_degree / self.num_inputs


@dataclasses.dataclass(frozen=True)
class Pattern:
    """Which weights of a layer exist, and how it computes with them.

    At most one of `in_degree`, `out_degree` and `density` is given. Without any of them
    all weights exist.

    Attributes:
        kind: one of `KINDS`. "structured": fixed degrees, else random. "random": the
            same number of weights, free degrees. "clash_free_1", "_2", "_3": fixed
            degrees, and no two of z memories are ever read at once; see `clash_free`.
        in_degree: d_in >= 1, weights of each output.
        out_degree: d_out >= 1, weights of each input.
        density: share of all n_in n_out weights, in (0, 1]; to six decimals one of
            k / gcd(n_in, n_out).
        num_memories: z of a clash-free pattern, a divisor of n_in. Default: see
            `num_memories_for`.
        seed: >= 0. The same seed gives the same pattern, whatever the weights.
        form: "compact" computes with the stored weights alone. "fast" makes a dense
            matrix of them where that is faster, for many rows. Clash-free type 3 is
            always compact.

    Raises:
        JsplitError: if an argument is out of range, if two degrees are given, or if
            `num_memories` is given for another kind.

    Example:
        >>> from jsplit.models import Pattern
        >>> junction = Pattern(out_degree=2).junction(800, 40)
        >>> junction.in_degree, junction.num_weights, junction.density
        (40, 1600, 0.05)
    """

    kind: str = "structured"
    in_degree: int | None = None
    out_degree: int | None = None
    density: float | None = None
    num_memories: int | None = None
    seed: int = 0
    form: str = "fast"

    def __post_init__(self) -> None:
        """Refuses what no layer could have."""
        checks.choice("kind", self.kind, KINDS)
        checks.choice("form", self.form, FORMS)
        checks.integer("seed", self.seed, 0)
        given = [name for name in DEGREES if getattr(self, name) is not None]
        if len(given) > 1:
            raise JsplitError(
                f"give one of in_degree, out_degree and density, got {', '.join(given)}"
            )
        if self.num_memories is not None and not self.kind.startswith("clash_free"):
            raise JsplitError(
                f"num_memories is for clash-free kinds, got kind {self.kind!r}"
            )

    def junction(self, num_inputs: int, num_outputs: int) -> Junction:
        """Returns the sizes and degrees of a layer with this pattern.

        Args:
            num_inputs: n_in >= 1.
            num_outputs: n_out >= 1.

        Raises:
            JsplitError: if a size is out of range or the density is not admissible;
                the nearest admissible ones are named.

        Example:
            >>> from jsplit.models import Pattern
            >>> Pattern(density=0.25).junction(40, 10)
            Traceback (most recent call last):
                ...
            jsplit.types.JsplitError: density of a junction 40 x 10 must be k / 10, \
got 0.25; the nearest are 0.2 (in-degree 8, out-degree 2) and 0.3 (in-degree 12, \
out-degree 3)
        """
        num_inputs = checks.integer("num_inputs", num_inputs, 1)
        num_outputs = checks.integer("num_outputs", num_outputs, 1)
        steps = math.gcd(num_inputs, num_outputs)
        k, what = float(steps), "density"
        if self.in_degree is not None:
            degree = checks.integer("in_degree", self.in_degree, 1, num_inputs)
            k, what = degree * steps / num_inputs, f"in_degree {degree}: density"
        elif self.out_degree is not None:
            degree = checks.integer("out_degree", self.out_degree, 1, num_outputs)
            k, what = degree * steps / num_outputs, f"out_degree {degree}: density"
        elif self.density is not None:
            k = checks.number("density", self.density, 0.0, 1.0) * steps
        if round(k) < 1 or abs(k - round(k)) > 1e-6 * steps:
            raise JsplitError(
                f"{what} of a junction {num_inputs} x {num_outputs} must be "
                f"k / {steps}, got {k / steps:.6g}; "
                f"the {_nearest(k, steps, num_inputs, num_outputs)}"
            )
        k = round(k)
        return Junction(
            num_inputs, num_outputs, k * num_inputs // steps, k * num_outputs // steps
        )


def _nearest(k: float, steps: int, num_inputs: int, num_outputs: int) -> str:
    """Names the admissible densities on both sides of k / steps."""
    near = sorted({max(1, math.floor(k)), min(steps, math.floor(k) + 1)})
    named = " and ".join(
        f"{one / steps:.6g} (in-degree {one * num_inputs // steps}, "
        f"out-degree {one * num_outputs // steps})"
        for one in near
    )
    return f"{'nearest are' if len(near) > 1 else 'nearest is'} {named}"


def structured(junction: Junction, seed: int) -> np.ndarray:
    """Draws a pattern with fixed degrees and no other structure.

    The d_out stubs of all left neurons are dealt out at random; where a right neuron
    got one twice, that edge trades ends with a random edge for which this mends it.
    Above half density the missing edges are drawn instead. All patterns can occur;
    they are nearly, not exactly, equally likely.

    Args:
        junction: sizes and degrees.
        seed: >= 0; the same gives the same pattern.

    Returns:
        [n_out, d_in] the left neurons of each right one, ascending.
    """
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    n_in, n_out = junction.num_inputs, junction.num_outputs
    missing = 2 * junction.in_degree > n_in
    d_in, d_out = junction.in_degree, junction.out_degree
    if missing:
        d_in, d_out = n_in - d_in, n_out - d_out
    source = rng.permutation(np.repeat(np.arange(n_in), d_out))
    target = np.repeat(np.arange(n_out), d_in)
    count = np.zeros((n_out, n_in), np.int32)
    np.add.at(count, (target, source), 1)
    for edge in range(len(source)):
        row, column = target[edge], source[edge]
        if count[row, column] < 2:
            continue
        # Below half density at least one such edge exists: the lefts of `row` have
        # fewer edges elsewhere than the rows without `column` have in all.
        fit = (count[target, column] == 0) & (count[row, source] == 0)
        other = rng.choice(np.flatnonzero(fit))
        count[row, column] -= 1
        count[target[other], source[other]] -= 1
        source[edge], source[other] = source[other], source[edge]
        count[row, source[edge]] += 1
        count[target[other], source[other]] += 1
    wanted = count == 0 if missing else count == 1
    return np.nonzero(wanted)[1].reshape(n_out, junction.in_degree)


def random_edges(
    num_inputs: int, num_outputs: int, num_weights: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a pattern with a fixed number of edges and free degrees.

    All sets of |W| edges are equally likely. A neuron may end up without any.

    Args:
        num_inputs: n_in >= 1.
        num_outputs: n_out >= 1.
        num_weights: |W|, 1..n_in n_out.
        seed: >= 0.

    Returns:
        target: [|W|] right neurons, ascending.
        source: [|W|] left neurons.
    """
    possible = num_inputs * num_outputs
    checks.integer("num_weights", num_weights, 1, possible)
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    edges = np.sort(rng.choice(possible, num_weights, replace=False))
    target, source = np.divmod(edges, num_inputs)
    return target, source


def num_memories_for(junction: Junction, num_memories: int | None = None) -> int:
    """Returns z, checked: the number of memories read in parallel.

    Args:
        junction: sizes and degrees.
        num_memories: z, a divisor of n_in. Default: the largest one up to d_in, so
            that a cycle feeds about one right neuron.

    Raises:
        JsplitError: if z does not divide n_in.
    """
    n_in = junction.num_inputs
    divisors = [z for z in range(1, n_in + 1) if n_in % z == 0]
    if num_memories is None:
        return max(z for z in divisors if z <= junction.in_degree)
    if num_memories not in divisors:
        shown = ", ".join(map(str, divisors))
        raise JsplitError(
            f"num_memories must divide the {n_in} inputs (one of {shown}), "
            f"got {checks.shown(num_memories)}"
        )
    return num_memories


def start_addresses(
    junction: Junction, num_memories: int, seed: int, *, fresh: bool
) -> np.ndarray:
    """Draws the start address phi of each memory for each sweep: types 2 and 3.

    In cycle c of sweep s memory m is read at address (phi[s, m] + c) mod D, D = n_in /
    z. A type 3 pattern keeps phi from sweep to sweep, a type 2 pattern draws it anew.
    A right neuron that a sweep leaves unfinished goes on in the next one; start
    addresses that would join it to a left neuron twice are left out of the draw.

    Args:
        junction: sizes and degrees.
        num_memories: z, a divisor of n_in.
        seed: >= 0.
        fresh: whether each sweep has its own start addresses (type 2).

    Returns:
        [d_out, z] addresses, 0..D - 1.
    """
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    depth = junction.num_inputs // num_memories
    starts = np.empty((junction.out_degree, num_memories), np.int64)
    starts[0] = rng.integers(0, depth, num_memories)
    for sweep in range(1, junction.out_degree):
        starts[sweep] = starts[sweep - 1]
        if fresh:
            before, after = _straddling(junction, num_memories, sweep)
            free = depth - before - after
            straddled = (before > 0) & (after > 0)
            # Unless both sides read this memory, any start will do.
            free = np.where(straddled, free, depth - 1)
            starts[sweep] = (starts[sweep] + rng.integers(0, free + 1)) % depth
    return starts


def sweep_addresses(starts: np.ndarray, depth: int) -> np.ndarray:
    """Returns the addresses read, [d_out, D, z], from start addresses [d_out, z]."""
    return (starts[:, None, :] + np.arange(depth)[:, None]) % depth


def shuffled_addresses(junction: Junction, num_memories: int, seed: int) -> np.ndarray:
    """Draws the addresses of a type 1 pattern: any order, per memory and sweep.

    Args:
        junction: sizes and degrees.
        num_memories: z, a divisor of n_in.
        seed: >= 0.

    Returns:
        [d_out, D, z] addresses; each [s, :, m] is a permutation of 0..D - 1.
    """
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    depth = junction.num_inputs // num_memories
    addresses = np.empty((junction.out_degree, depth, num_memories), np.int64)
    for sweep in range(junction.out_degree):
        before, after = _straddling(junction, num_memories, sweep)
        for memory in range(num_memories):
            order = rng.permutation(depth)
            if before[memory] and after[memory]:
                # What an unfinished right neuron has read must not come first again.
                last = addresses[sweep - 1, depth - before[memory] :, memory]
                seen = np.isin(order, last)
                first = order[~seen][: after[memory]]
                rest = order[~np.isin(order, first)]
                order = np.concatenate([first, rest])
            addresses[sweep, :, memory] = order
    return addresses


def _straddling(
    junction: Junction, num_memories: int, sweep: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how often the right neuron across a sweep's start reads each memory.

    Returns:
        before: [z] reads at the end of the sweep before.
        after: [z] reads at the start of this sweep.
    """
    memories = np.arange(num_memories)
    done = sweep * junction.num_inputs % junction.in_degree
    left = (junction.in_degree - done) % junction.in_degree
    # The last `done` edges of one sweep fall on memories ..., z - 2, z - 1.
    before = (done + memories) // num_memories
    after = (left + num_memories - 1 - memories) // num_memories
    return before, after


def connect(junction: Junction, addresses: np.ndarray) -> np.ndarray:
    """Turns the order in which memories are read into a pattern.

    Left neuron j lies in memory j mod z at address j // z. A cycle reads one neuron
    from each of the z memories, so no two reads clash; D cycles make a sweep over all
    left neurons, d_out sweeps make the junction. The edges, numbered in the order
    they are read, are dealt to the right neurons d_in at a time.

    Args:
        junction: sizes and degrees.
        addresses: [d_out, D, z] address read in each sweep and cycle from each memory.

    Returns:
        [n_out, d_in] the left neurons of each right one, in the order read.
    """
    num_memories = addresses.shape[-1]
    left = addresses * num_memories + np.arange(num_memories)
    return left.reshape(junction.num_outputs, junction.in_degree)


def clash_free(
    junction: Junction, kind: int, seed: int, num_memories: int | None = None
) -> np.ndarray:
    """Draws a clash-free pattern.

    With z memories of depth D = n_in / z there are (D!)^(z d_out) ways to read them in
    type 1, D^(z d_out) in type 2 and D^z in type 3.

    Args:
        junction: sizes and degrees.
        kind: 1 (any order of addresses), 2 (cyclic from fresh starts in each sweep),
            3 (cyclic from the same starts in all sweeps).
        seed: >= 0.
        num_memories: z; see `num_memories_for`.

    Returns:
        [n_out, d_in] the left neurons of each right one, in the order read.
    """
    checks.integer("kind", kind, 1, 3)
    num_memories = num_memories_for(junction, num_memories)
    if kind == 1:
        addresses = shuffled_addresses(junction, num_memories, seed)
    else:
        starts = start_addresses(junction, num_memories, seed, fresh=kind == 2)
        addresses = sweep_addresses(starts, junction.num_inputs // num_memories)
    return connect(junction, addresses)
