import dataclasses

from rl_runner.layout import ESTIMATES
from rl_runner.offline.judging.judgement_plot import draw_judgement
from rl_runner.runs.log_results import Estimate, Judgement, Support

ZERO = (0.0, 0.0)
SUPPORT = Support(500.0, 80.0, 40, 27.0, 1.0, (0.9, 1.1), 0.0)
GIVEN = Judgement(
    interactions=1000,
    users=90,
    logged_reward=0.7,
    logged_reward_ci95=(0.6, 0.8),
    support=SUPPORT,
    refusal=None,
    needed=None,
    estimates={"DR": Estimate(0.9, (0.8, 1.0), 0.2, ZERO, 0.1, ZERO)},
    weight_histogram=((10, 5), (0.0, 1.0, 27.0)),
)


def test_estimates_and_refusals_are_drawn(tmp_path):
    refused = dataclasses.replace(GIVEN, refusal="too little", estimates={})
    pictures = []
    for i, judgement in enumerate((GIVEN, refused)):
        (tmp_path / str(i)).mkdir()
        draw_judgement(judgement, tmp_path / str(i))
        pictures.append((tmp_path / str(i) / ESTIMATES).read_bytes())
    assert pictures[0][:4] == b"\x89PNG"
    assert pictures[0] != pictures[1]


def test_an_interval_beside_its_estimate_is_drawn_all_the_same(tmp_path):
    """Resampling may leave the estimate outside, or rounding may."""
    odd = Estimate(0.9, (0.9 + 1e-16, 0.95), 0.2, ZERO, 0.1, ZERO)
    beside = Estimate(0.9, (1.0, 1.1), 0.2, ZERO, 0.1, ZERO)
    draw_judgement(dataclasses.replace(GIVEN, estimates={"IPS": odd, "DR": beside}), tmp_path)
    assert (tmp_path / ESTIMATES).exists()


def test_a_judgement_without_the_rule_based_policy_is_drawn(tmp_path):
    alone = Estimate(0.9, (0.8, 1.0), 0.2, ZERO, None, None)
    model = dataclasses.replace(alone, for_claims=False)
    draw_judgement(dataclasses.replace(GIVEN, estimates={"DM": model, "DR": alone}), tmp_path)
    assert (tmp_path / ESTIMATES).exists()
