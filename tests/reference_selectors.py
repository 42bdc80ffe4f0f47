"""The selectors of the field as scalar loops, written from their formulas alone.

They share no code with the library they check and keep every reward in a list, so that
nothing runs that the formulas do not have. Rewards are in [0, 1] where a formula says
so. Arms and rounds t: arms from 0, t from 1.

A twin is a class with `pick(t, draws)` and `learn(arm, reward)`; `draws` are the random
numbers of the round, for those that take any.
"""

import math
from statistics import NormalDist


def first_largest(values):
    values = list(values)
    return min(j for j in range(len(values)) if values[j] == max(values))


def mean_of(values):
    return sum(values) / len(values)


def variance_of(values):
    center = mean_of(values)
    return sum((value - center) ** 2 for value in values) / len(values)


class Twin:
    """Keeps the rewards of every arm; plays each arm once before `index` is asked."""

    initial_plays = True

    def __init__(self, num_arms, **numbers):
        self.num_arms = num_arms
        self.rewards = [[] for _ in range(num_arms)]
        for name, value in numbers.items():
            setattr(self, name, value)
        self.start()

    def start(self):
        pass

    def learn(self, arm, reward):
        self.rewards[arm].append(reward)

    def pick(self, t, draws=None):
        if self.initial_plays and t <= self.num_arms:
            return t - 1
        return self.choose(t, draws)

    def choose(self, t, draws):
        return first_largest(self.index(rewards, t) for rewards in self.rewards)


class UCBV(Twin):
    """m + sqrt(2 V E / n) + 3 c E / n with E = zeta ln t."""

    def index(self, rewards, t):
        n, e = len(rewards), self.zeta * math.log(t)
        spread = math.sqrt(2 * variance_of(rewards) * e / n)
        return mean_of(rewards) + spread + 3 * self.c * e / n


class UCBTuned(Twin):
    """m + sqrt(ln t / n min(1/4, V + sqrt(2 ln t / n)))."""

    def index(self, rewards, t):
        ratio = math.log(t) / len(rewards)
        variance = min(0.25, variance_of(rewards) + math.sqrt(2 * ratio))
        return mean_of(rewards) + math.sqrt(ratio * variance)


def bernoulli_divergence(p, q):
    out = 0.0
    if p > 0:
        out += p * math.log(p / q)
    if p < 1:
        out += (1 - p) * math.log((1 - p) / (1 - q))
    return out


class KLUCB(Twin):
    """The largest q with n kl(m, q) <= ln t + c ln ln t, by bisection."""

    def index(self, rewards, t):
        mean = mean_of(rewards)
        budget = math.log(t)
        if budget > 1:
            budget += self.c * math.log(budget)
        low, high = mean, 1.0
        for _ in range(100):
            middle = (low + high) / 2
            if middle >= 1 or (
                len(rewards) * bernoulli_divergence(mean, middle) > budget
            ):
                high = middle
            else:
                low = middle
        return low


class BayesUCB(Twin):
    """The quantile 1 - 1/(t+1) of N(m, sigma^2 / n)."""

    def index(self, rewards, t):
        deviation = self.sigma / math.sqrt(len(rewards))
        return NormalDist(mean_of(rewards), deviation).inv_cdf(1 - 1 / (t + 1))


class MOSS(Twin):
    """m + sqrt((1 + a)/2 max(0, ln(t / (K n))) / n)."""

    def index(self, rewards, t):
        n = len(rewards)
        log = max(0.0, math.log(t / (self.num_arms * n)))
        return mean_of(rewards) + math.sqrt((1 + self.a) / 2 * log / n)


class DiscountedUCB(Twin):
    """Sums over the whole past, weighted by gamma^age."""

    def start(self):
        self.history = []

    def learn(self, arm, reward):
        self.history.append((arm, reward))

    def choose(self, t, draws):
        weight, total = [0.0] * self.num_arms, [0.0] * self.num_arms
        for age, (arm, reward) in enumerate(reversed(self.history)):
            weight[arm] += self.gamma**age
            total[arm] += self.gamma**age * reward
        log = math.log(sum(weight))
        return first_largest(
            total[j] / weight[j] + 2 * math.sqrt(self.xi * log / weight[j])
            for j in range(self.num_arms)
        )


class SlidingWindowUCB(Twin):
    """Means over the last `window` steps; an arm without a play there comes first."""

    def start(self):
        self.history = []

    def learn(self, arm, reward):
        self.history.append((arm, reward))

    def choose(self, t, draws):
        seen = self.history[-self.window :]
        values = []
        for j in range(self.num_arms):
            rewards = [reward for arm, reward in seen if arm == j]
            if not rewards:
                values.append(math.inf)
                continue
            bonus = self.xi * math.log(min(t, self.window)) / len(rewards)
            values.append(mean_of(rewards) + math.sqrt(bonus))
        return first_largest(values)


class GLRUCB(Twin):
    """Starts over when two parts of an arm's rewards since the last start differ.

    A test remembers how many rewards every arm had (`marks`); a level b keeps the last
    two marks of tests whose number is a multiple of 2^b.
    """

    initial_plays = False  # the first rounds play the arms in turn anyway

    def start(self):
        self.steps, self.since, self.restarts = 0, 0, 0
        self.clear()

    def clear(self):
        self.rewards = [[] for _ in range(self.num_arms)]
        self.since = 0
        empty = [0] * self.num_arms
        self.marks = [[empty, empty] for _ in range(self.levels)]

    def choose(self, t, draws):
        if self.exploration > 0:
            turn = self.since % max(
                self.num_arms, math.floor(self.num_arms / self.exploration)
            )
        else:
            turn = self.since
        if turn < self.num_arms:
            return turn
        return first_largest(
            mean_of(rewards) + math.sqrt(math.log(self.since) / (2 * len(rewards)))
            for rewards in self.rewards
        )

    def learn(self, arm, reward):
        self.rewards[arm].append(reward)
        self.steps += 1
        self.since += 1
        if self.steps % self.every:
            return
        number = self.steps // self.every
        if any(self.differs(arm) for arm in range(self.num_arms)):
            self.restarts += 1
            self.clear()
            return
        for level in range(self.levels):
            if number % 2**level == 0:
                now = [len(rewards) for rewards in self.rewards]
                self.marks[level] = [now, self.marks[level][0]]

    def differs(self, arm):
        rewards, n = self.rewards[arm], len(self.rewards[arm])
        for two in self.marks:
            for mark in two:
                a = mark[arm]
                if not 0 < a < n:
                    continue
                gap = mean_of(rewards[:a]) - mean_of(rewards[a:])
                if 2 * a * (n - a) / n * gap**2 > math.log(3 * n**1.5 / self.delta):
                    return True
        return False


class ExploreThenCommit(Twin):
    """Arms in turn, `plays` times each; then the best of that time."""

    initial_plays = False

    def choose(self, t, draws):
        if t <= self.plays * self.num_arms:
            return (t - 1) % self.num_arms
        return first_largest(mean_of(r[: self.plays]) for r in self.rewards)


class EpsilonGreedy(Twin):
    """draws: a uniform coin and a uniform place."""

    def choose(self, t, draws):
        coin, place = draws
        if coin < min(1, self.epsilon / t**self.decay):
            return int(place * self.num_arms)
        return first_largest(mean_of(rewards) for rewards in self.rewards)


class ThompsonGaussian(Twin):
    """draws: a standard normal number per arm."""

    initial_plays = False

    def choose(self, t, draws):
        values = []
        for rewards, normal in zip(self.rewards, draws, strict=True):
            n = len(rewards)
            values.append(
                sum(rewards) / (n + 1) + self.sigma / math.sqrt(n + 1) * normal
            )
        return first_largest(values)


class ThompsonBeta(Twin):
    """draws: a function of the two parameters of every arm, returning its draws."""

    initial_plays = False

    def choose(self, t, draws):
        wins = [self.successes + sum(rewards) for rewards in self.rewards]
        losses = [
            self.failures + sum(1 - r for r in rewards) for rewards in self.rewards
        ]
        return first_largest(draws(wins, losses))


class EXP3(Twin):
    """draws: one uniform number, against the running sum of the chances."""

    initial_plays = False

    def start(self):
        self.weight = [1.0] * self.num_arms

    def chances(self):
        total = sum(self.weight)
        return [
            (1 - self.gamma) * weight / total + self.gamma / self.num_arms
            for weight in self.weight
        ]

    def choose(self, t, draws):
        below = 0.0
        for arm, chance in enumerate(self.chances()):
            below += chance
            if below > draws:
                return arm
        return self.num_arms - 1

    def learn(self, arm, reward):
        estimate = reward / self.chances()[arm]
        self.weight[arm] *= math.exp(self.gamma * estimate / self.num_arms)


class EXP3S(EXP3):
    """As EXP3, and every arm then gets a share of the sum of all weights before."""

    def learn(self, arm, reward):
        total = sum(self.weight)
        super().learn(arm, reward)
        for j in range(self.num_arms):
            self.weight[j] += math.e * self.share / self.num_arms * total
