import itertools
import math

import numpy as np
import pytest

from jsplit.models.sparse import patterns
from jsplit.models.sparse.patterns import make_junction
from jsplit.types import JsplitError

# p = 9, fan-out 2, n = 6, z = 3 of the published counts, so depth 3 and in-degree 3.
SMALL = make_junction(9, 6, out_degree=2)
SHAPES = [(9, 6, 2), (12, 8, 6), (40, 40, 9), (30, 20, 18), (40, 10, 10), (16, 4, 1)]


def adjacency(junction, source):
    matrix = np.zeros((junction.num_outputs, junction.num_inputs), int)
    np.add.at(matrix, (np.arange(len(source))[:, None], source), 1)
    return matrix


def assert_fixed_degrees(junction, source):
    matrix = adjacency(junction, source)
    assert matrix.max() == 1  # no edge twice
    assert (matrix.sum(axis=0) == junction.out_degree).all()
    assert (matrix.sum(axis=1) == junction.in_degree).all()


def test_degrees_and_density_name_the_same_junction():
    junction = make_junction(800, 100, out_degree=20)
    assert junction == make_junction(800, 100, in_degree=160)
    assert junction == make_junction(800, 100, density=0.2)
    assert junction.num_weights == 800 * 20 == 100 * 160
    assert make_junction(6, 4).density == 1.0


@pytest.mark.parametrize(("n_in", "n_out"), [(12, 8), (800, 3), (7, 7)])
def test_admissible_densities_are_multiples_of_one_over_the_divisor(n_in, n_out):
    """Out of all in-degrees those with a whole out-degree, found by trying."""
    admitted = []
    for in_degree in range(1, n_in + 1):
        try:
            admitted.append(make_junction(n_in, n_out, in_degree=in_degree).density)
        except JsplitError:
            assert in_degree * n_out % n_in
    divisor = math.gcd(n_in, n_out)
    np.testing.assert_allclose(admitted, np.arange(1, divisor + 1) / divisor)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"in_degree": 2}, r"in_degree 2: density .* k / 4, .*0.25 \(in-degree 3, o"),
        ({"out_degree": 5}, r"0.5 \(in-degree 6, out-degree 4\) and 0.75 \(in-degree"),
        ({"density": 0.0}, r"got 0; the nearest is 0.25 \(in-degree 3, out-degree 2\)"),
        ({"density": 0.9}, r"density of a junction 12 x 8 must be k / 4, got 0.9;"),
        ({"density": 1.5}, r"density must be a number from 0 to 1, got 1.5"),
        ({"in_degree": 13}, r"in_degree must be an integer from 1 to 12, got 13"),
        ({"in_degree": 3, "density": 0.25}, r"give one of .* got in_degree, density"),
    ],
)
def test_other_junctions_are_refused(kwargs, message):
    with pytest.raises(JsplitError, match=message):
        make_junction(12, 8, **kwargs)


@pytest.mark.parametrize("shape", SHAPES)
def test_structured_patterns_have_fixed_degrees(shape):
    junction = make_junction(*shape[:2], out_degree=shape[2])
    drawn = [patterns.structured(junction, seed) for seed in (0, 0, 1)]
    for source in drawn:
        assert_fixed_degrees(junction, source)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    if junction.density < 1:
        assert (drawn[0] != drawn[2]).any()


def test_structured_patterns_are_all_reached():
    """3 x 3 neurons with 2 edges each: 3! = 6 patterns, each a missing diagonal."""
    junction = make_junction(3, 3, out_degree=2)
    drawn = {patterns.structured(junction, seed).tobytes() for seed in range(100)}
    assert len(drawn) == 6


def test_random_pattern_has_its_edges_and_free_degrees():
    target, source = patterns.random_edges(20, 10, 60, 0)
    assert len(set(zip(target, source, strict=True))) == 60
    assert (np.diff(target) >= 0).all()
    assert target.max() < 10
    assert source.max() < 20
    assert len(set(np.bincount(target))) > 1
    again = patterns.random_edges(20, 10, 60, 0)
    np.testing.assert_array_equal((target, source), again)


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_clash_free_patterns_have_fixed_degrees_and_no_clash(shape, kind):
    junction = make_junction(*shape[:2], out_degree=shape[2])
    divisors = [z for z in range(1, shape[0] + 1) if shape[0] % z == 0]
    for num_memories, seed in itertools.product(divisors, range(3)):
        source = patterns.clash_free(junction, kind, seed, num_memories)
        assert_fixed_degrees(junction, source)
        cycles = source.reshape(-1, num_memories) % num_memories
        assert (np.sort(cycles, axis=1) == np.arange(num_memories)).all()


def test_clash_free_patterns_are_as_many_as_published():
    """Distinct adjacency matrices: 46,656, 729 and 27."""
    depth, memories, sweeps = 3, 3, 2

    def count(orders):
        """Patterns when each memory in each sweep takes one of some orders."""
        found = set()
        for chosen in orders:
            addresses = np.array(chosen).reshape(sweeps, memories, depth)
            source = patterns.connect(SMALL, addresses.transpose(0, 2, 1))
            found.add(np.sort(source, axis=1).astype(np.uint8).tobytes())
        return len(found)

    def cyclic(starts):
        addresses = patterns.sweep_addresses(np.reshape(starts, (sweeps, -1)), depth)
        return addresses.transpose(0, 2, 1)

    permutations = list(itertools.permutations(range(depth)))
    one_sweep = list(itertools.product(range(depth), repeat=memories))
    assert count(itertools.product(permutations, repeat=memories * sweeps)) == 46_656
    assert count(map(cyclic, itertools.product(one_sweep, repeat=sweeps))) == 729
    assert count(cyclic(starts * sweeps) for starts in one_sweep) == 27


@pytest.mark.parametrize(("kind", "number"), [(1, 64), (2, 64), (3, 8)])
def test_draws_reach_all_clash_free_patterns_and_no_others(kind, number):
    """z = 3 of depth 2, 2 sweeps; a pattern is missed with probability e^-16."""
    junction = make_junction(6, 4, out_degree=2)
    drawn = {
        np.sort(patterns.clash_free(junction, kind, seed, 3)).tobytes()
        for seed in range(16 * number)
    }
    assert len(drawn) == number


def test_default_number_of_memories_feeds_about_one_neuron_a_cycle():
    junction = make_junction(40, 40, out_degree=9)
    assert patterns.num_memories_for(junction) == 8
    assert patterns.num_memories_for(make_junction(800, 40, out_degree=2)) == 40
    with pytest.raises(JsplitError, match=r"must divide the 40 inputs .* got 3"):
        patterns.num_memories_for(junction, 3)
