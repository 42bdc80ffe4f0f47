"""The reference against arithmetic done by hand."""

import numpy as np
import pytest
import reference as ref

pytestmark = pytest.mark.core

# Three exits, five samples, alpha = .8. Sample 4 meets the threshold exactly.
ALPHA = 0.8
CONFIDENCE = np.array(
    [
        [0.9, 0.85, 0.95],
        [0.5, 0.6, 0.9],
        [0.6, 0.9, 0.7],
        [0.7, 0.5, 1.0],
        [0.8, 0.9, 0.9],
    ]
)
CORRECT = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 1]])
REMOTE = np.repeat(CONFIDENCE[:, -1:], 3, axis=1)
REMOTE_CORRECT = np.repeat(CORRECT[:, -1:], 3, axis=1)
COMPUTE, HEAD = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.5])
OFFLOAD, MU = np.array([2.0, 2.0, 0.0]), 0.1
COSTS = (COMPUTE, HEAD, OFFLOAD, MU)

# One head: gamma = 1.5, 2.5, 3.5; times mu: .15, .25, .35; shipped: .35, .45.
# Sample 1, arm 0: .5 < .8 ships, .9 - .35 = .55. Sample 4, arm 0: .8 - .15 = .65.
ONE_HEAD = np.array(
    [
        [0.75, 0.60, 0.60],
        [0.55, 0.45, 0.55],
        [0.35, 0.65, 0.35],
        [0.65, 0.55, 0.65],
        [0.65, 0.65, 0.55],
    ]
)
# All heads: gamma = 1.5, 3, 4.5; times mu: .15, .30, .45; shipped: .35, .50.
ALL_HEADS = np.array(
    [
        [0.75, 0.55, 0.50],
        [0.55, 0.40, 0.45],
        [0.35, 0.60, 0.25],
        [0.65, 0.50, 0.55],
        [0.65, 0.60, 0.45],
    ]
)


def run(order, remote=REMOTE, **options):
    settings = {"alpha": ALPHA, "beta": 0.5, "side_information": None, "heads": "one"}
    settings |= options
    return ref.split_run(
        CONFIDENCE, CORRECT, remote, REMOTE_CORRECT, *COSTS, order, **settings
    )


def run_s(order, side_information="strict", **options):
    return run(order, side_information=side_information, heads="all", **options)


@pytest.mark.parametrize(("heads", "expected"), [("one", ONE_HEAD), ("all", ALL_HEADS)])
def test_rewards(heads, expected):
    rewards = ref.reward_matrix(CONFIDENCE, REMOTE, *COSTS, alpha=ALPHA, heads=heads)
    np.testing.assert_allclose(rewards, expected, atol=1e-12)


def test_splitee():
    # ln 4 = 1.3863, ln 5 = 1.6094, ln 6 = 1.7918; beta = .5.
    # Steps 0-2 play 0, 1, 2: .75, .45, .35.
    # t=4: equal bonuses, arm 0: sample 3 gives .65. Q0 = .70, N0 = 2.
    # t=5: .70 + .5 sqrt(.8047) = 1.1485; .45 + .5 * 1.2686 = 1.0843; .9843: arm 0,
    #      sample 4 gives .65. Q0 = 2.05 / 3 = .6833, N0 = 3.
    # t=6: .6833 + .5 sqrt(.5973) = 1.0697; .45 + .5 * 1.3386 = 1.1193; 1.0193: arm 1.
    out = run([0, 1, 2, 3, 4, 0])
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 0, 0, 1])
    np.testing.assert_allclose(out["reward"], [0.75, 0.45, 0.35, 0.65, 0.65, 0.60])
    # 1.5 | 2.5 + 2 | 3.5 | 1.5 + 2 | 1.5 | 2.5
    np.testing.assert_allclose(out["cost"], [1.5, 4.5, 3.5, 3.5, 1.5, 2.5])
    np.testing.assert_array_equal(out["offloaded"], [0, 1, 0, 1, 0, 0])
    # local 1 | cloud 1 | last 0 | cloud 0 (exit 0 was right) | local 0 | local 0
    np.testing.assert_array_equal(out["correct"], [1, 1, 0, 0, 0, 0])


def test_splitee_s():
    # Step 0: arm 0 .75.
    # Step 1, sample 1, arm 1 ships: arm 1 .40, and arm 0 would ship too: .55.
    # Step 2, sample 2, arm 2 is last: arm 2 .25, arm 1 .60, arm 0 .35.
    # N = 3, 2, 1; Q = 1.65 / 3 = .55, 1.00 / 2 = .50, .25.
    # t=4: .55 + .5 sqrt(.4621) = .8899; .50 + .5 sqrt(.6931) = .9163; .8387: arm 1,
    #      sample 3 ships: arm 1 .50, arm 0 .65. N = 4, 3, 1; Q = .575, .50, .25.
    # t=5: .575 + .5 sqrt(.4024) = .8922; .50 + .5 sqrt(.5365) = .8662; .8843: arm 0,
    #      sample 4 gives .65. Q0 = 2.95 / 5 = .59.
    # t=6: .59 + .5 sqrt(.3584) = .8893; .50 + .5 sqrt(.5973) = .8864; .9193: arm 2.
    out = run_s([0, 1, 2, 3, 4, 0])
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 1, 0, 2])
    np.testing.assert_allclose(out["reward"], [0.75, 0.40, 0.25, 0.50, 0.65, 0.50])
    # 1.5 | 3 + 2 | 4.5 | 3 + 2 | 1.5 | 4.5
    np.testing.assert_allclose(out["cost"], [1.5, 5.0, 4.5, 5.0, 1.5, 4.5])
    np.testing.assert_array_equal(out["offloaded"], [0, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(out["correct"], [1, 1, 0, 0, 0, 1])


def test_num_steps_cuts_the_run():
    out = run([0, 1, 2, 3, 4, 0], num_steps=4)
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 0])
    np.testing.assert_array_equal(run([0, 1])["arms"], [0, 1])  # fewer steps than arms


def test_difference_1_free_initial_plays():
    # Free: samples 0, 1, 2 give .75, .45, .35 without charge; then from sample 0 on,
    # t = 4, 5, 6, 7.
    # t=4: equal bonuses, arm 0: .75 again. t=5: .75 + .4485 = 1.1985 against
    # .45 + .6343 = 1.0843: arm 0, sample 1 gives .55, Q0 = 2.05 / 3.
    # t=6: .6833 + .3864 = 1.0697 against .45 + .6693 = 1.1193: arm 1, sample 2: .65.
    # t=7 (ln 7 = 1.9459): .6833 + .4027 = 1.0860; .55 + .4932 = 1.0432;
    #      .35 + .6975 = 1.0475: arm 0.
    out = run([0, 1, 2, 3], initial_plays="free")
    np.testing.assert_array_equal(out["arms"], [0, 0, 1, 0])
    np.testing.assert_allclose(out["reward"], [0.75, 0.55, 0.65, 0.65])
    np.testing.assert_allclose(out["cost"], [1.5, 3.5, 2.5, 3.5])
    np.testing.assert_array_equal(run([0, 1, 2, 3])["arms"], [0, 1, 2, 0])


def test_free_initial_plays_give_no_side_information():
    # beta = 0, order 2, 0, 1: Q = .35, .55, .45, so arm 1 first. With side information
    # from the initial plays arm 0 would stand at (.35 + .75 + .55) / 3 = .55 and arm 1
    # at (.55 + .40) / 2 = .475.
    out = run_s([2, 0, 1], "released", beta=0.0, initial_plays="free", num_steps=1)
    np.testing.assert_array_equal(out["arms"], [1])


def test_difference_2_clock():
    # Free, "steps": ln 1, ln 2, ln 3, ln 4 = 0, .6931, 1.0986, 1.3863.
    # s=0: greedy, arm 0. s=1: .75 + .2944 = 1.0444 against .8663: arm 0, .55.
    # s=2: .6833 + .3026 = .9859 against .45 + .5241 = .9741: arm 0 (arm 1 under
    #      "rounds"), sample 2 gives .35, Q0 = 2.40 / 4 = .60.
    # s=3: .60 + .2944 = .8944 against .45 + .5887 = 1.0387: arm 1.
    order = [0, 1, 2, 3]
    steps = run(order, initial_plays="free", clock="steps")
    np.testing.assert_array_equal(steps["arms"], [0, 0, 0, 1])
    rounds = run(order, initial_plays="free", clock="rounds")
    np.testing.assert_array_equal(rounds["arms"], [0, 0, 1, 0])
    # Billed, "steps": step 3 is s = 0, bonus 0, so the largest mean wins whatever
    # beta is: Q = .55, .50, .25 (see test_splitee_s). "rounds" with a large beta
    # takes the arm seen least, arm 2.
    billed = run_s(order, clock="steps", beta=100.0)
    np.testing.assert_array_equal(billed["arms"], [0, 1, 2, 0])
    np.testing.assert_array_equal(run_s(order, beta=100.0)["arms"], [0, 1, 2, 2])


def test_difference_3_learned_cost():
    # As test_splitee up to t=6 (arm 0 has one head either way), but arm 1 learnt
    # .40: .40 + .6693 = 1.0693 < 1.0697: arm 0 instead of arm 1. Bills: one head.
    out = run([0, 1, 2, 3, 4, 0], learned_cost="all_heads")
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 0, 0, 0])
    np.testing.assert_allclose(out["reward"], [0.75, 0.40, 0.25, 0.65, 0.65, 0.75])
    np.testing.assert_allclose(out["cost"], [1.5, 4.5, 3.5, 3.5, 1.5, 1.5])


def test_difference_3_published_units():
    # lambda1 = .8 lambda, lambda2 = .2 lambda, lambda = 1: one head is billed
    # .8 (i - 1) + 1, all heads i, for 1-based i.
    compute, head = 0.8 * np.arange(1, 13), np.full(12, 0.2)
    for i in range(1, 13):
        one = ref.device_cost(i - 1, compute, head, "one")
        every = ref.device_cost(i - 1, compute, head, "all")
        assert one == pytest.approx(0.8 * (i - 1) + 1)
        assert every == pytest.approx(i)


def test_difference_4_side_information():
    # beta = 0, order 1, 2, 0. Step 0: arm 0 .55 (ships). Step 1, sample 2: arm 1
    # answers on the device, .60; C_0 = .6 < .8, so r(0) needs C_L, never computed:
    # released updates arm 0 with .70 - .35 = .35, strict does not.
    # Step 2, sample 0: arm 2 .50, arm 1 .55, arm 0 .75.
    # Strict: Q0 = 1.30 / 2 = .65. Released: 1.65 / 3 = .55. Q1 = 1.15 / 2 = .575.
    order = [1, 2, 0, 3]
    strict = run_s(order, beta=0.0)
    released = run_s(order, "released", beta=0.0)
    np.testing.assert_array_equal(strict["arms"], [0, 1, 2, 0])
    np.testing.assert_array_equal(released["arms"], [0, 1, 2, 1])


def test_a_side_arm_exactly_at_the_threshold_is_known():
    # beta = 0. Step 0, sample 2: arm 0 .35. Step 1, sample 4: arm 1 answers on the
    # device, .60, and so would arm 0, C_0 = .8: .65. Step 2, sample 1: .45, .40, .55.
    # Q0 = 1.55 / 3 = .5167, Q1 = 1.00 / 2 = .50; without the .65, Q0 = .90 / 2 = .45.
    out = run_s([2, 4, 1, 0], beta=0.0)
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 0])


def test_lossy_link_reveals_less():
    # The cloud is .2 less sure of what leaves layer 0. beta = 0.
    # Step 0: arm 0 .75. Step 1, sample 1, arm 1 ships: .40; what the cloud made of
    # layer 1 says nothing of layer 0. Step 2, sample 2: arm 2 .25, arm 1 (local)
    # .60; C_L of the device is not the cloud's answer to layer 0.
    # Strict: Q = .75, .50, .25: arm 0, sample 3 ships: .80 - .35 = .45.
    # Released: arm 0 also saw .7 - .35 = .35 and .5 - .35 = .15: 1.25 / 3 = .4167,
    # so arm 1.
    lossy = REMOTE - np.array([0.2, 0.0, 0.0])
    options = {"remote": lossy, "beta": 0.0, "lossless": False}
    strict = run_s([0, 1, 2, 3], **options)
    released = run_s([0, 1, 2, 3], "released", **options)
    np.testing.assert_array_equal(strict["arms"], [0, 1, 2, 0])
    np.testing.assert_allclose(strict["reward"], [0.75, 0.40, 0.25, 0.45])
    np.testing.assert_array_equal(released["arms"], [0, 1, 2, 1])


def test_difference_5_summed_reward_is_not_the_best_arm():
    # beta = 0, samples 2, 2, 0, 4, 1: .35, .65, .60, so arm 1 from then on: .65, .45.
    # Arm 1's sum is 1.75, arm 0's only .35, yet over all samples arm 0 is best.
    out = run([2, 2, 0, 4, 1], beta=0.0)
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 1, 1])
    sums = np.bincount(out["arms"], weights=out["reward"])
    np.testing.assert_allclose(sums, [0.35, 1.75, 0.60])
    options = {"alpha": ALPHA, "heads": "one"}
    _, best = ref.best_fixed_split(CONFIDENCE, REMOTE, *COSTS, **options)
    assert (np.argmax(sums), best) == (1, 0)


def test_difference_9_ties_go_to_the_lowest_arm():
    flat = np.ones((4, 3))
    free = np.zeros(3)
    out = ref.split_run(
        *(flat, flat, flat, flat, free, free, free, 0.0, [0, 1, 2, 3]),
        **{"alpha": 0.5, "beta": 1.0, "side_information": None, "heads": "one"},
    )
    np.testing.assert_array_equal(out["arms"], [0, 1, 2, 0])


def test_confidence_cascade():
    # First C >= .8: exit 0, 2, 1, 2, 0; cost 1 + .5, 3 + 1.5, 2 + 1, 4.5, 1.5.
    out = ref.cascade_run(CONFIDENCE, CORRECT, COMPUTE, HEAD, range(5), alpha=ALPHA)
    np.testing.assert_array_equal(out["arms"], [0, 2, 1, 2, 0])
    np.testing.assert_allclose(out["cost"], [1.5, 4.5, 3.0, 4.5, 1.5])
    np.testing.assert_array_equal(out["correct"], [1, 1, 1, 0, 0])
    # Nothing reaches 1.1: the last exit answers all the same.
    out = ref.cascade_run(CONFIDENCE, CORRECT, COMPUTE, HEAD, [2, 2], alpha=1.1)
    np.testing.assert_array_equal(out["arms"], [2, 2])


def test_difference_7_one_late():
    out = ref.cascade_run(
        CONFIDENCE, CORRECT, COMPUTE, HEAD, range(5), alpha=ALPHA, one_late=True
    )
    np.testing.assert_array_equal(out["arms"], [1, 2, 2, 2, 1])
    np.testing.assert_allclose(out["cost"], [3.0, 4.5, 4.5, 4.5, 3.0])
    np.testing.assert_array_equal(out["correct"], [0, 1, 0, 0, 1])


def test_entropy_cascade():
    # Exit 1 of the first sample has exactly the threshold; the second never stops.
    entropy = np.array([[0.5, 0.3, 0.1], [0.6, 0.5, 0.4]])
    out = ref.entropy_cascade_run(
        entropy, CORRECT, COMPUTE, HEAD, [1, 0], threshold=0.3
    )
    np.testing.assert_array_equal(out["arms"], [2, 1])
    np.testing.assert_allclose(out["cost"], [4.5, 3.0])
    np.testing.assert_array_equal(out["correct"], [1, 0])


@pytest.mark.parametrize(
    ("patience", "one_late", "expected"),
    [
        # Counters: 0 1 0 1 2 | 0 0 1 0 1 | 0 1 2 3 4.
        (0, False, [0, 0, 0]),
        (1, False, [1, 2, 1]),
        (2, False, [4, 4, 2]),
        (3, False, [4, 4, 3]),
        (1, True, [2, 3, 2]),
        (2, True, [4, 4, 3]),
    ],
)
def test_patience_cascade(patience, one_late, expected):
    prediction = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 2, 2], [2, 2, 2, 2, 2]])
    correct = prediction == np.array([[1], [1], [0]])
    compute, head = np.arange(1.0, 6.0), np.full(5, 0.5)
    out = ref.patience_cascade_run(
        *(prediction, correct, compute, head, [0, 1, 2]),
        **{"patience": patience, "one_late": one_late},
    )
    np.testing.assert_array_equal(out["arms"], expected)
    np.testing.assert_allclose(out["cost"], 1.5 * (np.array(expected) + 1))
    np.testing.assert_array_equal(out["correct"], correct[range(3), expected])


def test_best_fixed_split():
    # Column sums of ONE_HEAD: 2.95, 2.90, 2.70; of ALL_HEADS: 2.95, 2.65, 2.20.
    options = {"alpha": ALPHA, "heads": "one"}
    means, best = ref.best_fixed_split(CONFIDENCE, REMOTE, *COSTS, **options)
    np.testing.assert_allclose(means, [0.59, 0.58, 0.54])
    assert best == 0
    options["heads"] = "all"
    means, _ = ref.best_fixed_split(CONFIDENCE, REMOTE, *COSTS, **options)
    np.testing.assert_allclose(means, [0.59, 0.53, 0.44])
    # Shipping at 9 instead of 2 takes .7 from every shipped sample: arm 0 has three,
    # .59 - 2.1 / 5 = .17; arm 1 two, .58 - 1.4 / 5 = .30; arm 2 never ships, .54.
    means, best = ref.best_fixed_split(
        CONFIDENCE, REMOTE, COMPUTE, HEAD, [9.0, 9.0, 9.0], MU, alpha=ALPHA, heads="one"
    )
    np.testing.assert_allclose(means, [0.17, 0.30, 0.54])
    assert best == 2


def test_regret():
    # Means .59, .58, .54. Arms 1, 2, 0: gaps .01, .05, 0.
    means = np.array([0.59, 0.58, 0.54])
    np.testing.assert_allclose(ref.pseudo_regret(means, [1, 2, 0]), [0.01, 0.06, 0.06])
    # i* = 0. Samples 2, 1, 0: .35 - .65 = -.30; .55 - .55 = 0; .75 - .75 = 0; then
    # sample 0 with arm 2: .75 - .60 = .15.
    regret = ref.realised_regret(ONE_HEAD, [1, 2, 0, 2], [2, 1, 0, 0])
    np.testing.assert_allclose(regret, [-0.30, -0.30, -0.30, -0.15])


@pytest.mark.parametrize("side_information", [None, "strict", "released"])
@pytest.mark.parametrize("initial_plays", ["billed", "free"])
def test_bookkeeping_on_a_random_trace(side_information, initial_plays):
    rng = np.random.default_rng(0)
    confidence = np.sort(rng.uniform(0.5, 1.0, (60, 5)), axis=1)
    correct = rng.uniform(size=(60, 5)) < confidence
    remote = rng.uniform(0.5, 1.0, (60, 5))
    remote_correct = rng.uniform(size=(60, 5)) < remote
    costs = (np.arange(1.0, 6.0), np.full(5, 0.3), rng.uniform(0, 1, 5), 0.1)
    order = rng.permutation(60)
    options = {"alpha": 0.75, "heads": "all" if side_information else "one"}
    out = ref.split_run(
        *(confidence, correct, remote, remote_correct, *costs, order),
        **(options | {"beta": 1.0, "side_information": side_information}),
        **{"initial_plays": initial_plays, "lossless": False},
    )
    arms = out["arms"]
    rewards = ref.reward_matrix(confidence, remote, *costs, **options)
    np.testing.assert_allclose(out["reward"], rewards[order, arms])
    sent = (confidence[order, arms] < 0.75) & (arms < 4)
    np.testing.assert_array_equal(out["offloaded"], sent)
    answer = np.where(sent, remote[order, arms], confidence[order, arms])
    np.testing.assert_allclose(out["reward"], answer - 0.1 * out["cost"])
    right = np.where(sent, remote_correct[order, arms], correct[order, arms])
    np.testing.assert_array_equal(out["correct"], right)
