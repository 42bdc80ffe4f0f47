"""Learners that are told something, and what a decision does, as scalar loops.

Written from the formulas of the papers alone; no code of the library they check. Arms
and contexts count from 0, rounds t from 1, depths from 1 (0 = the input itself).

A twin is a class with `pick(t, context, draws)` and `learn(context, arm, rewards)`;
`rewards` holds those that became known, by arm, and `draws` the round's random numbers.
"""

import math
from typing import NamedTuple

import numpy as np

ALWAYS, NEVER = -math.inf, math.inf


class Arm(NamedTuple):
    """Run to `depth`, answer there if the confidence reaches `alpha`, else ship."""

    depth: int
    alpha: float
    heads: str = "one"  # evaluated on the device: "one" at `depth`, "all", "none"
    route: int = 0


class Acted(NamedTuple):
    reward: float
    cost: float
    correct: bool
    shipped: bool


class Routes(NamedTuple):
    """A condition: what the network says and what it costs, by route."""

    traces: tuple
    costs: tuple


def splits(num_exits, alpha, heads="one"):
    return [Arm(depth, alpha, heads) for depth in range(1, num_exits + 1)]


def act(condition, arm, n):
    """What happens to sample n."""
    trace, costs = condition.traces[arm.route], condition.costs[arm.route]
    last, d = trace.confidence.shape[1], arm.depth
    if d == 0:
        confidence, correct = trace.confidence[n, -1], trace.correct[n, -1]
        cost = costs.input
        return Acted(float(confidence) - costs.mu * cost, cost, bool(correct), True)
    heads = {
        "none": 0.0,
        "one": float(costs.head[d - 1]),
        "all": sum(float(costs.head[i]) for i in range(d)),
    }[arm.heads]
    cost = float(costs.compute[d - 1]) + heads
    ships = d < last and not float(trace.confidence[n, d - 1]) >= arm.alpha
    if ships:
        cost += float(costs.offload[d - 1])
        confidence, correct = (
            trace.remote_confidence[n, d - 1],
            trace.remote_correct[n, d - 1],
        )
    else:
        confidence, correct = trace.confidence[n, d - 1], trace.correct[n, d - 1]
    return Acted(float(confidence) - costs.mu * cost, cost, bool(correct), ships)


def first_largest(values):
    values = list(values)
    return min(j for j in range(len(values)) if values[j] == max(values))


def mean_of(values):
    return sum(values) / len(values)


class UCB:
    """m + beta sqrt(ln t / n), every arm once first, whatever the context."""

    def __init__(self, num_arms, beta):
        self.beta = beta
        self.rewards = [[] for _ in range(num_arms)]

    def pick(self, t, context=None, draws=None):
        if t <= len(self.rewards):
            return t - 1
        return first_largest(
            mean_of(r) + self.beta * math.sqrt(math.log(t) / len(r))
            for r in self.rewards
        )

    def learn(self, context, arm, rewards):
        for j, reward in rewards.items():
            self.rewards[j].append(reward)


class ContextualUCB:
    """A UCB apart in every context, t counted there; an unknown arm comes first."""

    def __init__(self, num_contexts, num_arms, beta):
        self.beta = beta
        self.rewards = [[[] for _ in range(num_arms)] for _ in range(num_contexts)]
        self.rounds = [0] * num_contexts

    def pick(self, t, context, draws=None):
        log = math.log(self.rounds[context] + 1)
        return first_largest(
            mean_of(r) + self.beta * math.sqrt(log / len(r)) if r else math.inf
            for r in self.rewards[context]
        )

    def learn(self, context, arm, rewards):
        self.rounds[context] += 1
        for j, reward in rewards.items():
            self.rewards[context][j].append(reward)


class LinUCB:
    """theta . x + beta sqrt(x A^-1 x), x = (1, price), A inverted as a matrix."""

    def __init__(self, prices, num_arms, beta):
        self.x = [np.array([1.0, price]) for price in prices]
        self.beta = beta
        self.a = [np.eye(2) for _ in range(num_arms)]
        self.b = [np.zeros(2) for _ in range(num_arms)]

    def pick(self, t, context, draws=None):
        x = self.x[context]
        values = []
        for a, b in zip(self.a, self.b, strict=True):
            inverse = np.linalg.inv(a)
            values.append(inverse @ b @ x + self.beta * math.sqrt(x @ inverse @ x))
        return first_largest(values)

    def learn(self, context, arm, rewards):
        x = self.x[context]
        for j, reward in rewards.items():
            self.a[j] += np.outer(x, x)
            self.b[j] += reward * x


class HILCB:
    """Arm 0 accepts, 1 ships: accept if the bound of the bin exceeds 1 - fee.

    `rewards[0]` is whether the cloud agrees, `rewards[1]` is 1 - fee.
    """

    def __init__(self, num_bins, xi, *, monotone):
        self.xi, self.monotone = xi, monotone
        self.agreed = [[] for _ in range(num_bins)]
        self.worth = math.inf  # of shipping; not known before the first

    def bound(self, b, t):
        seen = self.agreed[b]
        if not seen:
            return -math.inf
        return mean_of(seen) - math.sqrt(self.xi * math.log(t) / len(seen))

    def pick(self, t, context, draws=None):
        bins = range(context + 1) if self.monotone else [context]
        return 0 if max(self.bound(b, t) for b in bins) > self.worth else 1

    def learn(self, context, arm, rewards):
        if 0 in rewards:
            self.agreed[context].append(rewards[0])
        self.worth = rewards.get(1, self.worth)


def drawn(losses, eta, uniform):
    weights = [math.exp(-eta * loss) for loss in losses]
    below = 0.0
    for arm, weight in enumerate(weights):
        below += weight
        if below > uniform * sum(weights):
            return arm
    return len(weights) - 1


class Hedge:
    """Chances proportional to exp(-eta loss); draws: one uniform number."""

    def __init__(self, num_arms, eta):
        self.losses, self.eta = [0.0] * num_arms, eta

    def pick(self, t, context, draws):
        return drawn(self.losses, self.eta, draws)

    def learn(self, context, arm, rewards):
        for j, reward in rewards.items():
            self.losses[j] += 1 - reward


class ExploringHedge:
    """Hedge that ships at chance epsilon (the last arm); draws: a coin and a place.

    What a threshold does with the sample comes from the test as a reward of
    ("ships", fee) or ("accepts", agrees), so that nothing is guessed from numbers.
    """

    def __init__(self, num_thresholds, eta, epsilon):
        self.losses = [0.0] * num_thresholds
        self.eta, self.epsilon = eta, epsilon

    def pick(self, t, context, draws):
        coin, place = draws
        if coin < self.epsilon:
            return len(self.losses)
        return drawn(self.losses, self.eta, place)

    def learn(self, context, arm, rewards):
        for j, (what, value) in rewards.items():
            if j == len(self.losses):
                continue
            if what == "ships":
                self.losses[j] += value
            elif arm == len(self.losses):
                self.losses[j] += (1 - value) / self.epsilon
