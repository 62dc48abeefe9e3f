import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_runner.seeding import Purpose, SeedTree

RUN_SEEDS = st.integers(min_value=0, max_value=2**63 - 1)
COUNTS = st.integers(min_value=1, max_value=20)


def _all_seeds(tree: SeedTree, n: int) -> list[int]:
    lists = (
        *(tree.train_envs(n, segment) for segment in range(3)),
        tree.evaluation(n),
        tree.final_evaluation(n),
        tree.reference(n),
    )
    return [tree.model, tree.policy_sampling, *itertools.chain.from_iterable(lists)]


def test_all_streams_of_all_purposes_of_many_run_seeds_are_disjoint():
    run_seeds = [*range(150), *(2**32 + i for i in range(50)), *(2**62 + i for i in range(50))]
    n = 25
    seeds = [seed for run_seed in run_seeds for seed in _all_seeds(SeedTree(run_seed), n)]
    assert len(seeds) == len(run_seeds) * (2 + 6 * n)
    assert len(set(seeds)) == len(seeds)


def test_the_streams_of_neighbouring_runs_draw_different_numbers():
    firsts = [
        float(np.random.default_rng(seed).random())
        for run_seed in range(20)
        for seed in _all_seeds(SeedTree(run_seed), 5)
    ]
    assert len(set(firsts)) == len(firsts)


@settings(deadline=None)
@given(st.lists(RUN_SEEDS, min_size=2, max_size=5, unique=True), COUNTS)
def test_no_two_runs_share_a_seed(run_seeds: list[int], n: int):
    seeds = [seed for run_seed in run_seeds for seed in _all_seeds(SeedTree(run_seed), n)]
    assert len(set(seeds)) == len(seeds)


@settings(deadline=None)
@given(RUN_SEEDS, COUNTS)
def test_seeds_fit_the_generators_that_take_them(run_seed: int, n: int):
    tree = SeedTree(run_seed)
    for small in (tree.model, tree.policy_sampling):
        assert type(small) is int
        assert 0 <= small < 2**32
    for large in (*tree.train_envs(n), *tree.evaluation(n), *tree.final_evaluation(n)):
        assert type(large) is int
        assert 0 <= large < 2**63


@settings(deadline=None)
@given(RUN_SEEDS, COUNTS, COUNTS)
def test_asking_for_more_seeds_keeps_the_first_ones(run_seed: int, n: int, more: int):
    tree = SeedTree(run_seed)
    assert tree.train_envs(n + more)[:n] == tree.train_envs(n)
    assert tree.evaluation(n + more)[:n] == tree.evaluation(n)
    assert tree.final_evaluation(n + more)[:n] == tree.final_evaluation(n)


@settings(deadline=None)
@given(RUN_SEEDS, COUNTS)
def test_the_same_run_seed_gives_the_same_tree(run_seed: int, n: int):
    assert _all_seeds(SeedTree(run_seed), n) == _all_seeds(SeedTree(run_seed), n)


def test_seeds_use_all_63_bits():
    seeds = SeedTree(0).final_evaluation(200)
    seen = np.bitwise_or.reduce(np.array(seeds, dtype=np.int64))
    always = np.bitwise_and.reduce(np.array(seeds, dtype=np.int64))
    assert (int(seen), int(always)) == (2**63 - 1, 0)


def test_the_numbers_of_the_purposes_never_change():
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "MODEL": 0,
        "TRAIN_ENVS": 1,
        "EVALUATION": 2,
        "FINAL_EVALUATION": 3,
        "POLICY_SAMPLING": 4,
        "REFERENCE": 5,
        "PERIODIC_SAMPLING": 6,
    }


@pytest.mark.parametrize(
    ("run_seed", "expected"),
    [
        (
            0,
            (4088532484, 1905993885, 7760206288954288810, 4212315735477949212, 5105546489311917556),
        ),
        (1, (3023998541, 278071048, 5877990289857261500, 1153771447230504343, 6377370435533955988)),
        (4, (335414384, 1994711655, 6230630555972724047, 7044208535570943605, 5757623753808525342)),
        (
            4294967296,
            (2654792692, 4057878299, 7236332166473837404, 1285648968816488180, 4413352351813690832),
        ),
        (
            9223372036854775807,
            (209516697, 510948602, 5592565749835105711, 687805458115428160, 4891895292646516396),
        ),
    ],
)
def test_seeds_stay_what_they_were_when_results_were_published(
    run_seed: int, expected: tuple[int, ...]
):
    tree = SeedTree(run_seed)
    assert expected == (
        tree.model,
        tree.policy_sampling,
        tree.train_envs(2)[1],
        tree.evaluation(1)[0],
        tree.final_evaluation(1)[0],
    )


def test_a_negative_run_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        _ = SeedTree(-1).model
