"""Policies that do not learn: one plan, a random plan, the clairvoyant plan.

Here: final exit, fixed split, offload everything, dynamic split, random exit, oracle,
and the cascades. No comparison should leave these baselines out.
"""

import dataclasses
import functools

from jsplit import checks
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.policies.simple import Always, Follow, Uniform
from jsplit.policies.splitee import ALPHA, over_splits
from jsplit.types import Context, Plan, Protocol


def final_exit() -> Policy:
    """Final exit: the device runs everything and answers with exit L.

    Bills all layers and the last head; the published baseline bills every head
    (`Protocol.final_bill`).
    """
    return Policy("final_exit", _final_exit, Always())


def _final_exit(num_exits: int, protocol: Protocol) -> Plan:
    all_heads = protocol.final_bill == "all_heads"
    return plans.stack([plans.exit_at(num_exits, num_exits, all_heads=all_heads)])


def fixed_split(*, depth: int = 1, alpha: float = ALPHA) -> Policy:
    """Fixed split: SplitEE's action at one depth, for every sample.

    Args:
        depth: the splitting layer, 1..L.
        alpha: confidence in [0, 1] from which the device answers there.
    """
    depth = checks.integer("depth", depth, 1)
    alpha = checks.number("alpha", alpha, 0.0, 1.0)
    build = functools.partial(_fixed_split, depth=depth, alpha=alpha)
    return Policy("fixed_split", build, Always(), {"depth": depth}, alpha=alpha)


def _fixed_split(num_exits: int, protocol: Protocol, depth: int, alpha: float) -> Plan:
    del protocol
    return plans.stack([plans.split(num_exits, depth, alpha)])


def offload_all(*, depth: int = 1, route: int = 0) -> Policy:
    """Offload everything: split at `depth` (0..L-1) and ship every sample.

    At depth 1 with a lossless link it is as accurate as the final exit, often at a
    fraction of its cost. No published comparison with SplitEE has it.

    Args:
        depth: the layer after which every sample is shipped, 0..L-1; 0 ships the input
            itself (`Costs.input`).
        route: number of the route, >= 0, see `Condition.routes`; a compressed input is
            depth 0 with a route of its own.
    """
    depth = checks.integer("depth", depth, 0)
    route = checks.integer("route", route, 0)
    numbers = {"depth": depth} if depth != 1 else {}
    if route:
        numbers["route"] = route
    build = functools.partial(_offload_all, depth=depth, route=route)
    return Policy("offload_all", build, Always(), numbers)


def _offload_all(num_exits: int, protocol: Protocol, depth: int, route: int) -> Plan:
    del protocol
    return plans.stack([plans.by_route(plans.offload_all(num_exits, depth), route)])


def dynamic_split(*, shallowest: int = 1, num_routes: int = 1) -> Policy:
    """Dynamic split: ship everything after the layer that costs least just now.

    Plays the argmin over a table of known costs, such as latencies under the state of
    the link: T(i) = device(i) + shipping(i), or the whole network on the device. The
    context is the cheapest plan. At every split it is as accurate as the final exit.

    Args:
        shallowest: first layer after which it may ship, 0..L-1; 0 is the input itself.
        num_routes: routes to choose from, >= 1, see `Condition.routes`.

    Reference:
        Bakhtiarnia et al., Dynamic split computing, arXiv 2205.11269.
    """
    shallowest = checks.integer("shallowest", shallowest, 0)
    num_routes = checks.integer("num_routes", num_routes, 1)
    build = functools.partial(
        _dynamic_split, shallowest=shallowest, num_routes=num_routes
    )
    return Policy("dynamic_split", build, Follow(), context=Context("cheapest"))


def _dynamic_split(
    num_exits: int, protocol: Protocol, shallowest: int, num_routes: int
) -> Plan:
    del protocol
    checks.integer("shallowest", shallowest, 0, num_exits - 1)
    shipping = [
        plans.by_route(plans.offload_all(num_exits, depth), route)
        for route in range(num_routes)
        for depth in range(shallowest, num_exits)
    ]
    return plans.stack([*shipping, plans.exit_at(num_exits, num_exits)])


def random_exit(*, alpha: float = ALPHA) -> Policy:
    """Random exit: a split drawn uniformly for every sample.

    Args:
        alpha: confidence in [0, 1] from which the device answers.

    Differences from the released code: that one draws one split for a whole stream
    (`Protocol.random_arm`).
    """
    return over_splits("random_exit", Uniform(), None, alpha=alpha)


def oracle(*, alpha: float = ALPHA) -> Policy:
    """Oracle: the split with the largest reward for each sample, known in advance.

    Privileged: it sees confidences that were not computed. Its reward is an upper bound
    for every policy over the same splits; its accuracy is not.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
    """
    best = over_splits("oracle", Follow(), None, alpha=alpha, context=Context("best"))
    return dataclasses.replace(best, privileged=True)


def confidence_cascade(*, alpha: float = ALPHA) -> Policy:
    """Confidence cascade (ElasticBERT): the first exit with C_i >= alpha answers.

    Args:
        alpha: confidence in [0, 1] from which an exit answers.

    Differences from the released code: that one bills and answers one exit too late
    (`Protocol.cascade_answer`).
    """
    alpha = checks.number("alpha", alpha, 0.0, 1.0)
    build = functools.partial(_confidence_cascade, alpha=alpha)
    return Policy("confidence_cascade", build, Always(), alpha=alpha)


def _confidence_cascade(num_exits: int, protocol: Protocol, alpha: float) -> Plan:
    delay = int(protocol.cascade_answer == "one_late")
    return plans.stack([plans.cascade(num_exits, alpha, delay=delay)])


def entropy_cascade(*, threshold: float = 0.5) -> Policy:
    """Entropy cascade (DeeBERT, BranchyNet): the first exit with entropy <= threshold.

    Args:
        threshold: entropy in nats, >= 0; 0 = never stop early, ln C = always at exit 1.

    Reference:
        Xin et al., DeeBERT, arXiv 2004.12993; Teerapittayanon et al., BranchyNet,
        arXiv 1709.01686.
    """
    threshold = checks.moderate("threshold", threshold)
    build = functools.partial(_cascade, threshold=-threshold)
    return Policy("entropy_cascade", build, Always(), score="entropy")


def patience_cascade(*, patience: int = 2) -> Policy:
    """Patience cascade (PABEE): stop after `patience` exits repeat a prediction.

    Args:
        patience: exits in a row that repeat the prediction before them, >= 1; PABEE
            reports 6 for 12 layers. From L on it never stops early.

    Reference:
        Zhou et al., BERT loses patience, arXiv 2006.04152.
    """
    patience = checks.integer("patience", patience, 1)
    build = functools.partial(_cascade, threshold=patience)
    return Policy("patience_cascade", build, Always(), score="patience")


def _cascade(num_exits: int, protocol: Protocol, threshold: float) -> Plan:
    del protocol
    return plans.stack([plans.cascade(num_exits, threshold)])
