"""Devices, links and servers: costs in milliseconds, millijoules, bytes and money.

Here: one cost form for all,

    time   = device(i) + heads * head + shipped * (round trip + bytes(i) / rate + rest)
    energy = device power * device time + radio power * sending time

and the states of a link. Not here: how a plan adds costs up (`outcomes`) or how states
follow one another (`drift`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.drift import Drift, recorded
from jsplit.traces.trace import Trace, check_trace
from jsplit.types import JsplitError

Unit = Literal["ms", "mJ", "bytes", "money"]
UNITS: tuple[Unit, ...] = ("ms", "mJ", "bytes", "money")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What computes: a device or a server.

    Attributes:
        gflops: speed in 10^9 floating-point operations a second, > 0.
        watts: power while it computes, in W, >= 0.
        price: money for a second of its time, >= 0.
    """

    gflops: float
    watts: float = 0.0
    price: float = 0.0

    def __post_init__(self) -> None:
        _positive("gflops", self.gflops)
        checks.number("watts", self.watts, 0.0)
        checks.number("price", self.price, 0.0)


@dataclasses.dataclass(frozen=True)
class Link:
    """What ships from the device.

    Attributes:
        mbps: rate upwards in 10^6 bits a second, > 0.
        rtt_ms: round trip in milliseconds, >= 0.
        watts: power of the radio while it sends, in W, >= 0.
        price: money for 10^9 bytes, >= 0.
    """

    mbps: float
    rtt_ms: float = 0.0
    watts: float = 0.0
    price: float = 0.0

    def __post_init__(self) -> None:
        _positive("mbps", self.mbps)
        for name in ("rtt_ms", "watts", "price"):
            checks.number(name, getattr(self, name), 0.0)

    def send_ms(self, size: np.ndarray) -> np.ndarray:
        """Returns the milliseconds that so many bytes take to send."""
        return size * 8 / (self.mbps * 1e3)


def cellular(generation: Literal["3g", "4g", "wifi"]) -> Link:
    """Returns an average link of the papers on split computing.

    Rates are 1.1 (3G), 5.85 (4G) and 18.88 Mbit/s (Wi-Fi). Radio power is a * rate + b
    with a, b = 0.86898, 0.81788 (3G), 0.43839, 1.28804 (4G) and 0.28317, 0.13286
    (Wi-Fi), in W per Mbit/s and W. The link has no round trip and no price: these
    depend on place and time.

    Args:
        generation: "3g", "4g" or "wifi".

    Raises:
        JsplitError: if the generation is another.

    Example:
        >>> round(cellular("4g").watts, 2)
        3.85

    Reference:
        Rates: Kang et al., Neurosurgeon, ASPLOS 2017, and the work after it; power:
        Huang et al., 4G LTE networks, MobiSys 2012. From memory; measure your own.
    """
    table = {
        "3g": (1.1, 0.86898, 0.81788),
        "4g": (5.85, 0.43839, 1.28804),
        "wifi": (18.88, 0.28317, 0.13286),
    }
    rate, slope, base = table[checks.choice("generation", generation, table)]
    return Link(rate, watts=slope * rate + base)


@dataclasses.dataclass(frozen=True, eq=False)
class Profile:
    """A network on a device, a link and a server: every cost of a decision.

    Attributes:
        layer_flops: [L] floating-point operations of each layer without its head, >= 0.
        head_flops: [L] floating-point operations of each head, >= 0.
        split_bytes: [L] bytes shipped after each layer, >= 0.
        device: what runs the first layers.
        link: what ships.
        server: what runs the other layers.
        input_bytes: bytes of the input itself, >= 0, for plans that ship it. None: as
            many as after the first layer.

    Raises:
        JsplitError: if a number is out of range or an array of the wrong shape.

    Example:
        >>> phone, server = Machine(gflops=5, watts=2), Machine(gflops=500)
        >>> profile = Profile([1e9, 3e9], [1e6, 1e6], [1e4, 5e3], phone,
        ...                   Link(mbps=8, rtt_ms=20), server)
        >>> profile.costs("ms").compute
        array([200., 800.])
        >>> float(profile.costs("ms").offload[0])  # 20 + 10 to send + 6.002
        36.002
    """

    layer_flops: ArrayLike
    head_flops: ArrayLike
    split_bytes: ArrayLike
    device: Machine
    link: Link
    server: Machine
    input_bytes: float | None = None

    def __post_init__(self) -> None:
        names = ("layer_flops", "head_flops", "split_bytes")
        arrays = [np.asarray(getattr(self, name), np.float64) for name in names]
        for name, array in zip(names, arrays, strict=True):
            if array.ndim != 1 or array.shape != arrays[0].shape or array.size < 2:
                raise JsplitError(
                    f"{name} must hold one number per exit like layer_flops, at least "
                    f"2, got shape {array.shape}"
                )
            if not (np.isfinite(array) & (array >= 0)).all():
                shown = checks.shown(array.tolist())
                raise JsplitError(f"{name} must be finite and >= 0, got {shown}")
            object.__setattr__(self, name, array)
        if self.input_bytes is not None:
            checks.number("input_bytes", self.input_bytes, 0.0)

    @classmethod
    def of(
        cls,
        trace: Trace,
        device: Machine,
        link: Link,
        server: Machine,
        *,
        bits: int | None = None,
        input_bytes: float | None = None,
    ) -> "Profile":
        """Returns the profile of the network a trace was recorded from.

        Args:
            trace: a trace from `record`, with FLOPs and bytes in its metadata.
            device: what runs the first layers.
            link: what ships.
            server: what runs the other layers.
            bits: bits of a quantised activation, 8, 4 or 2. None: as it was recorded,
                raw or with the bits of `record(quantise=...)`.
            input_bytes: bytes of the input itself, >= 0. None: as many as after the
                first layer.

        Raises:
            JsplitError: if this is no trace, or its metadata lack what is needed.
        """
        check_trace("trace", trace)
        meta: dict[str, Any] = dict(trace.meta)
        if bits is None:
            bits = meta.get("quantise_bits")
        if bits is not None:
            sizes = meta.get("split_bytes_quantised", {})
            if str(bits) not in sizes:
                raise JsplitError(
                    f"bits must be one of those recorded ({', '.join(sizes) or 'none'})"
                    f", got {bits!r}"
                )
            meta["split_bytes"] = sizes[str(bits)]
        for name in ("layer_flops", "head_flops", "split_bytes"):
            if name not in meta:
                raise JsplitError(
                    f"trace must have {name} in its metadata, as `jsplit record` "
                    "writes them; this one has none: use Profile(...)"
                )
        return cls(
            meta["layer_flops"],
            meta["head_flops"],
            meta["split_bytes"],
            device,
            link,
            server,
            input_bytes,
        )

    def costs(self, unit: Unit = "ms", mu: float = 1.0) -> Costs:
        """Returns what decisions cost in one unit.

        Args:
            unit: "ms", latency; "mJ", energy of the device and its radio, where waiting
                for the server is free; "bytes", bytes shipped; "money", price of the
                device's, the link's and the server's use.
            mu: confidence per unit of cost, >= 0.

        Raises:
            JsplitError: if the unit is another or `mu` out of range.
        """
        unit = checks.choice("unit", unit, UNITS)  # type: ignore[assignment]
        layers = np.asarray(self.layer_flops)
        device_ms = np.cumsum(layers) / (self.device.gflops * 1e6)
        head_ms = np.asarray(self.head_flops) / (self.device.gflops * 1e6)
        sizes = np.append(np.asarray(self.split_bytes), self.input_bytes or 0.0)
        if self.input_bytes is None:
            sizes[-1] = sizes[0]
        # The server runs the layers after the split and the last head; the input needs
        # all of them.
        rest = layers.sum() - np.append(np.cumsum(layers), 0.0)
        rest += np.asarray(self.head_flops)[-1]
        server_ms = rest / (self.server.gflops * 1e6)
        send_ms = self.link.send_ms(sizes)
        zeros = np.zeros_like(device_ms)
        device, head, ship = {
            "ms": (device_ms, head_ms, self.link.rtt_ms + send_ms + server_ms),
            "mJ": (
                device_ms * self.device.watts,
                head_ms * self.device.watts,
                send_ms * self.link.watts,
            ),
            "bytes": (zeros, zeros, sizes),
            "money": (
                device_ms * self.device.price / 1e3,
                head_ms * self.device.price / 1e3,
                sizes * self.link.price / 1e9 + server_ms * self.server.price / 1e3,
            ),
        }[unit]
        return Costs(device, head, ship[:-1], mu, unit, float(ship[-1]))

    def at(self, link: Link) -> "Profile":
        """Returns the same profile over another link."""
        return dataclasses.replace(self, link=link)


def link_states(
    mbps: Sequence[float] | np.ndarray, num_states: int = 8, **link: float
) -> tuple[dict[str, Link], Drift]:
    """Returns the states of a link from a recorded series of rates, and their drift.

    States are equally frequent ranges of the series. The rate of a state is the
    harmonic mean of the rates at its steps, which keeps their mean sending time.

    Args:
        mbps: rate of each step in 10^6 bits a second, > 0. A longer run starts the
            series again.
        num_states: largest number of states, >= 2; equal rates make fewer.
        **link: the other numbers of every `Link`.

    Returns:
        Links by name, slowest first, and the drift to use them with in a `Scenario`.

    Raises:
        JsplitError: if rates are not > 0 or all equal, or a number is out of range.

    Example:
        >>> links, drift = link_states([1, 1, 10, 10], num_states=2, rtt_ms=20)
        >>> [link.mbps for link in links.values()], drift.num_conditions
        ([1.0, 10.0], 2)
    """
    try:
        rates = np.asarray(mbps, np.float64)
    except (TypeError, ValueError):
        rates = np.zeros(0)
    known = {field.name for field in dataclasses.fields(Link)} - {"mbps"}
    for name in link:
        checks.choice("a number of a link", name, sorted(known))
    if (
        rates.ndim != 1
        or not rates.size
        or not (np.isfinite(rates) & (rates > 0)).all()
    ):
        raise JsplitError(f"mbps must be rates > 0, got {checks.shown(mbps)}")
    num_states = checks.integer("num_states", num_states, 2)
    edges = np.quantile(rates, np.linspace(0, 1, num_states + 1)[1:-1])
    # A value on an edge belongs to the state above it; equal edges make one state less.
    state = np.searchsorted(np.unique(edges), rates, side="right")
    _, state = np.unique(state, return_inverse=True)
    if state.max() == 0:  # every edge is the least rate, a state of its own then
        state = (rates > rates.min()).astype(int)
    if state.max() == 0:
        raise JsplitError("mbps must hold at least two different rates")
    links = {}
    for number in range(state.max() + 1):
        rate = 1 / np.mean(1 / rates[state == number])
        links[f"{number + 1}: {rate:.3g} Mbit/s"] = Link(float(rate), **link)
    return links, recorded(state)


def _positive(name: str, value: float) -> None:
    if checks.number(name, value, 0.0) == 0:
        raise JsplitError(f"{name} must be > 0, got {value}")
