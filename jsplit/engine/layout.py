"""How settings and replicas are laid out: over devices, in groups and blocks.

Here: `Layout`, which is part of what is compiled. Not here: the programs (`shard`).
A device steps through a group of G settings x a block of replicas at a time, and
through its groups and blocks one after the other.
"""

import dataclasses
import math

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jsplit.engine.settings import Run

# Lanes that a device steps through together, settings x replicas. On a CPU their state
# should fit a core's L2 cache (300 KB for 12 arms), yet a step must outweigh the cost
# of launching its dozen kernels. Of 256 to 4096, 2048 was fastest on 2 Cascade Lake
# cores. Accelerators want all there are.
CPU_LANES = 2048
ACCELERATOR_LANES = 2**20
VECTOR = 16  # float32 lanes of the widest CPU vectors: blocks are multiples of it
GROUP = 8  # settings that share the streams and draws of a block, if there are so many
ITEMS = 16  # groups x blocks of a device whose sums stay on it, unless groups are more


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where S settings x R replicas run.

    Attributes:
        mesh: devices, by settings and by replicas.
        settings: settings of a device.
        group: settings that step together, G.
        groups: groups of a device; the last one may repeat settings.
        lanes: replicas that step together.
        blocks: blocks of lanes that a device goes through before sums are fetched.
    """

    mesh: Mesh
    settings: int
    group: int
    groups: int
    lanes: int
    blocks: int

    @property
    def num_settings(self) -> int:
        """S."""
        return self.settings * self.mesh.shape["setting"]

    @property
    def items(self) -> int:
        """Pairs of a group and a block that a device goes through."""
        return self.groups * self.blocks

    @property
    def rows(self) -> int:
        """Blocks on all devices."""
        return self.blocks * self.mesh.shape["replica"]

    @property
    def sizes(self) -> tuple[int, ...]:
        """What tells one layout from another on other devices of the same kind."""
        own = (self.settings, self.group, self.groups, self.lanes, self.blocks)
        return (*self.mesh.shape.values(), *own)

    @property
    def replicas(self) -> int:
        """Replicas before sums are fetched."""
        return self.rows * self.lanes


def make_layout(num_settings: int, run: Run) -> Layout:
    """Returns how S settings are run.

    As many devices as divide S take their own settings, so that tables are not copied
    to all; these times others take their own replicas.
    """
    devices = tuple(jax.devices()) if run.devices is None else run.devices
    parts = math.gcd(num_settings, len(devices))
    mesh = Mesh(
        np.array(devices).reshape(parts, -1),
        ("setting", "replica"),
        axis_types=(AxisType.Auto, AxisType.Auto),
    )
    settings = num_settings // parts
    each = -(-run.num_replicas // mesh.shape["replica"])
    on_cpu = devices[0].platform == "cpu"
    most = CPU_LANES if on_cpu else ACCELERATOR_LANES
    if run.block_size is not None:
        lanes = min(run.block_size, each)
    elif on_cpu:
        lanes = _up(CPU_LANES // min(settings, GROUP), VECTOR)
        lanes = min(lanes, _up(each, VECTOR))
    else:
        lanes = min(most, each)
    group = _group(settings, max(1, most // lanes))
    groups = -(-settings // group)
    blocks = min(-(-each // lanes), max(1, ITEMS // groups))
    return Layout(mesh, settings, group, groups, lanes, blocks)


def settings_that_fit(memory: float, table_bytes: int, run: Run) -> int:
    """Returns how many settings can be run at once, at least 1.

    Counted are tables twice, as bound and on the devices, and per replica and
    checkpoint 20 bytes on a device, as much on the host and 20 more in float64.

    Args:
        memory: bytes for all of them, > 0.
        table_bytes: of the tables of one setting.
        run: how they are run.
    """
    sums = 60 * run.num_replicas * (len(run.checkpoints) + 4)
    return max(1, int(memory // (2 * table_bytes + sums)))


def padded(num_settings: int) -> int:
    """Returns a size to pad S settings to, so that few sizes are compiled.

    There are 8 sizes from a power of two to the next: at most 1/8 is padding. Repeat
    the last setting, and drop what it gives.

    Example:
        >>> [padded(number) for number in (1, 7, 17, 65, 100)]
        [1, 7, 18, 72, 104]
    """
    step = 1 << max(0, (num_settings - 1).bit_length() - 4)
    return _up(num_settings, step)


def _group(settings: int, wanted: int) -> int:
    """Returns a size near `wanted` for groups of which the last one is nearly full."""
    if settings <= wanted:
        return settings
    sizes = range(max(1, wanted * 3 // 4), wanted * 3 // 2 + 1)
    return min(sizes, key=lambda size: (-settings % size, abs(size - wanted)))


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
