"""A slow, plain-NumPy reference for SplitEE and the early-exit cascades.

Written from the mathematics of SplitEE and SplitEE-S (arXiv 2309.09195) alone; it
shares no code with the library it checks. "Difference k" is the k-th entry of the
list of differences between the authors' released code and that mathematics.

Exits and arms are 0-based: arm i is the paper's action i + 1, "split after layer
i + 1". L is the number of exits, N the number of samples, T the number of steps.

    confidence[n, i]         C_i of sample n
    remote_confidence[n, i]  the cloud's confidence had n been shipped after exit i
                             (lossless: every column is confidence[:, L - 1])
    compute[i]               device compute up to and including layer i
    head[i]                  evaluating head i
    offload[i]               o, shipping from layer i
    mu                       turns cost into units of confidence
"""

import math

import numpy as np


def device_cost(i, compute, head, heads):
    """gamma_i: what the device spends on layers and heads when it stops at exit i.

    SplitEE evaluates one head (lambda1 i + lambda2), SplitEE-S all of them (lambda i).
    """
    if heads == "one":
        return float(compute[i]) + float(head[i])
    assert heads == "all"
    return float(compute[i]) + sum(float(head[k]) for k in range(i + 1))


def ships(confidence, n, i, alpha):
    """Whether action i sends sample n to the cloud: C_i < alpha and i is not last."""
    last = confidence.shape[1] - 1
    return i != last and float(confidence[n, i]) < alpha


def sample_reward(
    confidence, remote_confidence, n, i, compute, head, offload, mu, alpha, heads
):
    """r(i) of sample n.

    C_i - mu gamma_i if C_i >= alpha or i = L, else C_L - mu (gamma_i + o).
    """
    gamma = device_cost(i, compute, head, heads)
    if ships(confidence, n, i, alpha):
        return float(remote_confidence[n, i]) - mu * (gamma + float(offload[i]))
    return float(confidence[n, i]) - mu * gamma


def reward_matrix(
    confidence, remote_confidence, compute, head, offload, mu, *, alpha, heads
):
    """r(i) of every sample and arm: [N, L]; `heads` are those the learner counts."""
    num_samples, num_exits = confidence.shape
    costs = (compute, head, offload, mu)
    out = np.zeros((num_samples, num_exits))
    for n in range(num_samples):
        for i in range(num_exits):
            out[n, i] = sample_reward(
                confidence, remote_confidence, n, i, *costs, alpha, heads
            )
    return out


def _first_largest(values):
    """The position of the largest value; ties go to the lowest (difference 9)."""
    return min(j for j in range(len(values)) if values[j] == max(values))


def _bonus_log(step, num_exits, initial_plays, clock):
    """The ln of the index at 0-based `step` of the run (difference 2)."""
    if clock == "rounds":  # t: 1-based round with the initial plays counted
        t = step + 1 if initial_plays == "billed" else step + 1 + num_exits
        return math.log(t)
    assert clock == "steps"  # ln(s + 1), s from 0 without the initial plays
    s = step - num_exits if initial_plays == "billed" else step
    return math.log(s + 1)


def _revealed(confidence, n, j, arm, alpha, side_information, lossless):
    """Whether playing `arm` on sample n reveals r(j), j <= arm (difference 4)."""
    if j == arm:
        return True
    if side_information is None:
        return False
    if side_information == "released":
        return True
    assert side_information == "strict"
    if float(confidence[n, j]) >= alpha:
        return True  # arm j answers on the device, and C_j was computed on the way
    # Arm j ships, so r(j) needs the cloud's answer to what leaves layer j. Without
    # loss that is C_L, known if this sample was shipped or ran to the last layer.
    last = confidence.shape[1] - 1
    return lossless and (arm == last or ships(confidence, n, arm, alpha))


def split_run(
    confidence,
    correct,
    remote_confidence,
    remote_correct,
    compute,
    head,
    offload,
    mu,
    order,
    *,
    alpha,
    beta,
    side_information,
    heads,
    initial_plays="billed",
    clock="rounds",
    learned_cost="billed",
    lossless=True,
    num_steps=None,
):
    """SplitEE (None, "one") or SplitEE-S (side information, "all") on one stream.

    At each step the arm with the largest Q_j + beta sqrt(ln t / N_j) is played on
    sample order[step]. The paper plays every arm once first, and bills it.
    initial_plays="free" initialises arm k on sample order[k] without charge and
    starts over at order[0] (difference 1). `clock` is difference 2, `learned_cost`
    difference 3 (rewards only, never the bill), `side_information` difference 4.

    Returns:
        arms [T], reward [T] (learnt, of the played arm), cost [T] (billed),
        correct [T] and offloaded [T].
    """
    num_exits = confidence.shape[1]
    steps = len(order) if num_steps is None else num_steps
    assert steps <= len(order)
    assert learned_cost in ("billed", "all_heads")
    learned_heads = "all" if learned_cost == "all_heads" else heads
    costs = (compute, head, offload, mu)

    def reward_of(n, i):
        return sample_reward(
            confidence, remote_confidence, n, i, *costs, alpha, learned_heads
        )

    total = [0.0] * num_exits  # sum of the rewards seen of each arm: Q_j N_j
    count = [0] * num_exits  # N_j
    if initial_plays == "free":
        assert len(order) >= num_exits
        for k in range(num_exits):
            total[k] += reward_of(order[k], k)
            count[k] += 1
    else:
        assert initial_plays == "billed"

    arms, rewards, bills, rights, shipped = [], [], [], [], []
    for step in range(steps):
        n = order[step]

        if initial_plays == "billed" and step < num_exits:
            arm = step
        else:
            log_t = _bonus_log(step, num_exits, initial_plays, clock)
            index = []
            for j in range(num_exits):
                mean = total[j] / count[j]
                index.append(mean + beta * math.sqrt(log_t / count[j]))
            arm = _first_largest(index)

        cost = device_cost(arm, compute, head, heads)
        sent = ships(confidence, n, arm, alpha)
        if sent:
            cost += float(offload[arm])
        arms.append(arm)
        rewards.append(reward_of(n, arm))
        bills.append(cost)
        rights.append(bool(remote_correct[n, arm] if sent else correct[n, arm]))
        shipped.append(sent)

        for j in range(arm + 1):
            if _revealed(confidence, n, j, arm, alpha, side_information, lossless):
                total[j] += reward_of(n, j)
                count[j] += 1

    return {
        "arms": np.array(arms, dtype=np.int64),
        "reward": np.array(rewards, dtype=np.float64),
        "cost": np.array(bills, dtype=np.float64),
        "correct": np.array(rights, dtype=bool),
        "offloaded": np.array(shipped, dtype=bool),
    }


def _cascade(stops, correct, compute, head, order, one_late):
    """Runs the exits in turn until stops(n, i); the last exit always answers.

    Pays every head up to the exit taken. one_late answers and is billed one exit
    later, at most the last (difference 7).
    """
    last = correct.shape[1] - 1
    arms, costs, rights = [], [], []
    for n in order:
        taken = last
        for i in range(last + 1):
            if stops(n, i):
                taken = i
                break
        if one_late:
            taken = min(taken + 1, last)
        arms.append(taken)
        costs.append(device_cost(taken, compute, head, "all"))
        rights.append(bool(correct[n, taken]))
    return {
        "arms": np.array(arms, dtype=np.int64),
        "cost": np.array(costs, dtype=np.float64),
        "correct": np.array(rights, dtype=bool),
    }


def cascade_run(confidence, correct, compute, head, order, *, alpha, one_late=False):
    """The confidence cascade: the first exit with C_i >= alpha answers."""

    def stops(n, i):
        return float(confidence[n, i]) >= alpha

    return _cascade(stops, correct, compute, head, order, one_late)


def entropy_cascade_run(
    entropy, correct, compute, head, order, *, threshold, one_late=False
):
    """BranchyNet / DeeBERT: the first exit with entropy <= threshold answers."""

    def stops(n, i):
        return float(entropy[n, i]) <= threshold

    return _cascade(stops, correct, compute, head, order, one_late)


def patience_cascade_run(
    prediction, correct, compute, head, order, *, patience, one_late=False
):
    """PABEE: stop once `patience` consecutive exits agreed with the one before.

    The counter is 0 at the first exit and after every disagreement.
    """

    def stops(n, i):
        counter = 0
        for k in range(1, i + 1):
            agrees = prediction[n, k] == prediction[n, k - 1]
            counter = counter + 1 if agrees else 0
        return counter >= patience

    return _cascade(stops, correct, compute, head, order, one_late)


def best_fixed_split(
    confidence, remote_confidence, compute, head, offload, mu, *, alpha, heads
):
    """The comparator i* = argmax_i E r(i), E over all N samples.

    By mean and not by the sum over what was played (difference 5); ties lowest.
    Where rewards were learnt with every head (difference 3), pass heads="all".

    Returns:
        The mean reward of every arm [L], and i*.
    """
    costs = (compute, head, offload, mu)
    rewards = reward_matrix(
        confidence, remote_confidence, *costs, alpha=alpha, heads=heads
    )
    means = np.array([sum(column) / len(column) for column in rewards.T])
    return means, _first_largest(means)


def pseudo_regret(mean_reward_per_arm, arms):
    """Cumulative sum_t E r(i*) - E r(i_t): [T]."""
    best = max(mean_reward_per_arm)
    out, total = [], 0.0
    for arm in arms:
        total += best - mean_reward_per_arm[arm]
        out.append(total)
    return np.array(out, dtype=np.float64)


def realised_regret(reward_matrix, arms, order):
    """Cumulative sum_t r_t(i*) - r_t(i_t) on the samples met; i* over all N: [T]."""
    means = [sum(column) / len(column) for column in np.asarray(reward_matrix).T]
    best = _first_largest(means)
    out, total = [], 0.0
    for arm, n in zip(arms, order, strict=False):
        total += reward_matrix[n][best] - reward_matrix[n][arm]
        out.append(total)
    return np.array(out, dtype=np.float64)
