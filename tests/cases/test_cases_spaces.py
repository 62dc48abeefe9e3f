"""Public bug reports about spaces, images, goals, masks and wrappers (the folders beside this)."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_runs import Case, finished_run
from sb3_contrib import MaskablePPO
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from rl_runner import load_config
from rl_runner.envs.code import use_code
from rl_runner.errors import ConfigError, EnvError
from rl_runner.evaluation.play.baselines import evaluate_baseline
from rl_runner.evaluation.play.episodes import Episodes
from rl_runner.training.resolve import Resolution, resolve

PPO = "algo={name: ppo, n_steps: 64, batch_size: 64, n_epochs: 1}"
DQN = "algo={name: dqn, learning_starts: 50, batch_size: 16, buffer_size: 500}"
SAC = "algo={name: sac, learning_starts: 50, batch_size: 16, buffer_size: 500}"
TD3 = (
    "algo={name: td3, learning_starts: 50, batch_size: 16, buffer_size: 500, "
    "action_noise: {noise: normal, sigma: 0.1}}"
)
REWARDS = "env.normalize={observations: false, rewards: true}"
CONTINUOUS = "env.kwargs.continuous=true"


def resolution(config: Path, *changes: str) -> Resolution:
    return resolve(load_config(config, list(changes)))


def random_episodes(config: Path, *changes: str) -> Episodes:
    """Play with the random policy in the config's environment."""
    loaded = load_config(config, list(changes))
    use_code(loaded)
    return evaluate_baseline(loaded.env, "random", seed=0, n_episodes=5).episodes


def policy_of(resolved: Resolution) -> str:
    return str(resolved.config.algo.hyperparameters["policy"])


def extractors_of(agent: Any) -> set[str]:
    """Return the classes by which an SB3 agent reads its observations."""
    parts = agent.policy.modules()
    return {type(part).__name__ for part in parts if isinstance(part, BaseFeaturesExtractor)}


def refused(rl: Any, *arguments: object) -> str:
    """Return the message of a command that refuses its input."""
    outcome = rl(*arguments)
    assert outcome.exit_code == 2, outcome.message
    assert "Traceback" not in outcome.stderr
    return str(outcome.message)


# --- labels that do not begin at 0 ----------------------------------------------------------------


@pytest.mark.parametrize("env", ["Dial", "Shown", "Low"])
@pytest.mark.parametrize("algo", ["ppo", "dqn", "a2c", "recurrent_ppo"])
def test_train_02_networks_of_sb3_refuse_labels_that_do_not_begin_at_0(
    env: str, algo: str, case: Case, rl: Any
) -> None:
    changes = ["--set", f"env.id=dial:{env}-v0", "--set", f"algo={{name: {algo}}}"]
    said = refused(rl, "check", case("train-02-discrete-obs-start"), *changes)
    assert "those of this environment start elsewhere" in said
    assert "These can: q_learning, reinforce." in said
    assert "gymnasium.wrappers.FlattenObservation" in said


@pytest.mark.parametrize(
    "changes",
    [
        ["algo={name: q_learning}"],
        ["algo={name: reinforce, n_episodes: 8}"],
        ["algo={name: reinforce, n_episodes: 8, engine: stock}"],
        [PPO, "env.wrappers=[gymnasium.wrappers.FlattenObservation]"],
    ],
)
@pytest.mark.parametrize("start", [1, -2])
def test_train_02_others_count_from_the_start(start: int, changes: list[str], case: Case) -> None:
    config = case("train-02-discrete-obs-start")
    beginning_at = [
        finished_run(config, "env.id=dial:Shown-v0", f"env.kwargs.start={first}", *changes)
        for first in (start, 0)
    ]
    other, zero = (run.record.results for run in beginning_at)
    assert other == zero


# --- images ---------------------------------------------------------------------------------------

IMAGE = "env.kwargs={shape: [40, 40, 3], dtype: uint8}"
SMALL = "env.kwargs={shape: [16, 16, 3], dtype: uint8}"
GREY = "env.kwargs={shape: [40, 40], dtype: uint8}"
SMALL_CNN = "algo.policy_kwargs={features_extractor_class: small_nets.SmallCnn}"


@pytest.mark.parametrize("algo", [PPO, DQN])
@pytest.mark.parametrize("normalize", ["env.normalize=true", REWARDS])
def test_train_03_normalising_leaves_images_and_their_network_alone(
    algo: str, normalize: str, case: Case
) -> None:
    config = case("train-06-float-image")
    changes = [IMAGE, algo, normalize]
    resolved = resolution(config, *changes)
    assert policy_of(resolved) == "CnnPolicy"
    said = any("Images are left as they are by `env.normalize`" in n for n in resolved.notes)
    assert said == (normalize != REWARDS)
    agent = finished_run(config, *changes).agent
    assert extractors_of(agent) == {"NatureCNN"}


def test_train_04_a_small_image_is_refused_with_the_least_size_and_the_cures(
    case: Case, rl: Any
) -> None:
    said = refused(rl, "check", case("train-06-float-image"), "--set", SMALL)
    assert "too small for SB3's convolutional network (NatureCNN)" in said
    assert "at least 36 × 36" in said
    assert "Set `policy: MlpPolicy`" in said


@pytest.mark.parametrize(
    ("changes", "extractor"),
    [
        (["algo.policy=MlpPolicy"], "FlattenExtractor"),
        (["algo.policy=CnnPolicy", SMALL_CNN], "SmallCnn"),
        ([SMALL_CNN], "SmallCnn"),
    ],
)
def test_train_04_a_policy_or_a_network_of_ones_own_takes_small_images(
    changes: list[str], extractor: str, case: Case
) -> None:
    agent = finished_run(case("train-06-float-image"), SMALL, *changes).agent
    assert extractors_of(agent) == {extractor}


def test_train_06_images_of_floats_are_numbers_to_mlp_and_that_is_said(case: Case) -> None:
    resolved = resolution(case("train-06-float-image"))
    assert policy_of(resolved) == "MlpPolicy"
    assert any("MlpPolicy sees 3 × 40 × 40 separate numbers" in n for n in resolved.notes)


def test_train_06_a_convolutional_policy_that_cannot_take_floats_says_why(
    case: Case, rl: Any
) -> None:
    config = case("train-06-float-image")
    said = refused(rl, "check", config, "--set", "algo.policy=CnnPolicy")
    assert "CnnPolicy takes images of bytes from 0 to 255" in said
    assert "{normalize_images: false}" in said


def test_train_21_grey_images_are_refused_with_the_wrapper_that_adds_a_channel(
    case: Case, rl: Any
) -> None:
    config = case("train-21-grey-stack")
    for changes in ([], ["--set", "env.frame_stack=1"]):
        said = refused(rl, "train", config, "--runs-dir", "runs", *changes)
        assert "grey images of 40 × 40 bytes without a channel axis" in said
        assert "{shape: [40, 40, 1]}" in said
    assert not Path("runs").exists()
    wrapper = "{name: gymnasium.wrappers.ReshapeObservation, kwargs: {shape: [40, 40, 1]}}"
    resolved = resolution(config, f"env.wrappers=[{wrapper}]")
    assert policy_of(resolved) == "CnnPolicy"
    assert resolved.observation_space == "Box(40, 40, 4)"


def test_train_21_images_stacked_along_an_axis_of_their_own_are_refused(
    case: Case, rl: Any
) -> None:
    config = case("train-21-grey-stack")
    channel = "{name: gymnasium.wrappers.ReshapeObservation, kwargs: {shape: [40, 40, 1]}}"
    stack = "{name: gymnasium.wrappers.FrameStackObservation, kwargs: {stack_size: 4}}"
    wrappers = ["--set", "env.frame_stack=1", "--set", f"env.wrappers=[{channel}, {stack}]"]
    said = refused(rl, "check", config, *wrappers)
    assert "several images at once, 4 × 40 × 40 × 1 bytes" in said
    assert "`env.frame_stack`" in said
    # Grey images without a channel get one for each frame, which SB3 takes for channels first.
    resolved = resolution(config, "env.frame_stack=1", f"env.wrappers=[{stack}]")
    assert policy_of(resolved) == "CnnPolicy"


def test_train_06_images_of_floats_are_not_stacked_sideways(case: Case, rl: Any) -> None:
    changes = ["algo.policy=CnnPolicy", "algo.policy_kwargs={normalize_images: false}"]
    config = case("train-06-float-image")
    assert resolution(config, *changes).observation_space == "Box(3, 40, 40)"
    sets = [part for change in [*changes, "env.frame_stack=2"] for part in ("--set", change)]
    assert "sideways, here to Box(0.0, 1.0, (3, 40, 80)" in refused(rl, "check", config, *sets)


# --- dictionaries ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        ["env.normalize=true"],
        ["env.normalize=true", "env.kwargs.label=true"],
        [CONTINUOUS, SAC, "env.normalize=true", "env.kwargs.label=true"],
        [CONTINUOUS, SAC, REWARDS],
        [DQN, "env.normalize=true", "env.frame_stack=2"],
    ],
)
def test_train_05_of_a_dictionary_only_the_quantities_are_normalised(
    changes: list[str], case: Case
) -> None:
    config = case("train-05-dict-obs")
    finished_run(config, "train.total_timesteps=128", *changes)
    (statistics,) = Path("runs").glob("*/seed-0/normalization.npz")
    with zipfile.ZipFile(statistics) as file:
        names = {name.partition("/")[0] for name in file.namelist()}
    assert names == ({"returns"} if REWARDS in changes else {"returns", "obs.speed"})


def test_train_05_a_label_cannot_be_stacked_and_is_named(case: Case, rl: Any) -> None:
    changes = ["--set", "env.kwargs.label=true", "--set", "env.frame_stack=2"]
    said = refused(rl, "check", case("train-05-dict-obs"), *changes)
    assert "cannot be stacked: `gear` is Discrete(3)" in said
    assert "norm_obs_keys" not in said


@pytest.mark.parametrize(
    ("kind", "said", "cure"),
    [
        ("nested", "the space of `a` is a Dict inside a Dict", "FlattenObservation"),
        ("dicttuple", "the space of `a` is a Tuple inside a Dict", "FlattenObservation"),
        ("text", "their space is a Text", "Write a wrapper"),
        ("dicttext", "the space of `t` is a Text", "filter_keys: [a]"),
        ("sequence", "their space is a Sequence", "Write a wrapper"),
        ("graph", "their space is a Graph", "Write a wrapper"),
        ("oneof", "their space is a OneOf", "FlattenObservation"),
        ("emptydict", "an empty Dict", "at least one number"),
    ],
)
def test_train_20_every_command_says_what_helps_where_observations_are_not_arrays(
    kind: str, said: str, cure: str, case: Case, rl: Any
) -> None:
    config = case("train-20-observation-spaces")
    change = ["--set", f"env.kwargs.kind={kind}"]
    for command in ("train", "check"):
        message = refused(rl, command, config, *change)
        assert said in message, command
        assert cure in message, command
    with pytest.raises(EnvError) as caught:
        random_episodes(config, change[1])
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["box0d", "multi2d", "multistart", "tuple", "dictstart", "dict0d"])
def test_train_20_what_networks_do_not_take_can_be_flattened(kind: str, case: Case) -> None:
    config = case("train-20-observation-spaces")
    change = f"env.kwargs.kind={kind}"
    with pytest.raises(ConfigError, match=r"Or flatten the observations"):
        resolution(config, PPO, change)
    resolution(config, PPO, change, "env.wrappers=[gymnasium.wrappers.FlattenObservation]")


# --- actions --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")  # a single number
@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("kind", ["box", "matrix", "scalar"])
@pytest.mark.parametrize("noise", ["normal", "ornstein_uhlenbeck"])
def test_train_17_noise_has_the_shape_of_the_actions(
    kind: str, noise: str, n_envs: int, case: Case
) -> None:
    changes = [f"env.kwargs.kind={kind}", f"env.n_envs={n_envs}", TD3.replace("normal", noise)]
    agent = finished_run(case("train-17-action-spaces"), "train.total_timesteps=80", *changes).agent
    assert np.shape(agent.action_noise()) == agent.action_space.shape


@pytest.mark.parametrize(("kind", "said"), [("int", True), ("box", False)])
def test_train_17_actions_with_fractions_in_a_space_of_whole_numbers_are_noted(
    kind: str, said: bool, case: Case
) -> None:
    resolved = resolution(case("train-17-action-spaces"), f"env.kwargs.kind={kind}")
    assert any("chooses numbers with fractions" in note for note in resolved.notes) == said


# --- goals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("env.frame_stack=2", "knows no stacked frames"),
        ("env.kwargs.kind=single", "for 3 goals. Compute one reward for each row"),
        ("algo.replay_buffer_kwargs.goal_selection_strategy=futur", "Did you mean `future`?"),
        ("algo.replay_buffer_kwargs={n_sampled_gaol: 4}", "Did you mean `n_sampled_goal`?"),
    ],
)
def test_train_22_rewards_that_hindsight_would_compute_wrongly_are_refused(
    change: str, said: str, case: Case, rl: Any
) -> None:
    assert said in refused(rl, "check", case("train-22-her"), "--set", change)


def test_train_22_sound_goals_are_trained_on(case: Case) -> None:
    short = ["train.total_timesteps=150", "eval.final_episodes=2", "eval.n_episodes=1"]
    run = finished_run(case("train-22-her"), *short, "env.n_envs=2", "env.normalize=true")
    assert isinstance(run.agent.replay_buffer, HerReplayBuffer)
    assert run.agent.replay_buffer.her_ratio == 0.8  # four goals for each of its own
    assert (run.record.timesteps, run.record.last.mean_ep_length) == (150, 15)
    assert run.record.last.success_rate is not None


# --- masks ----------------------------------------------------------------------------------------

MASKER = "sb3_contrib.common.wrappers.ActionMasker"


@pytest.mark.parametrize("name", ["allowed", "lift:allowed_moves", "lift.allowed_moves"])
def test_train_28_masks_come_from_a_function_that_the_config_names(name: str, case: Case) -> None:
    wrapper = f"{{name: {MASKER}, kwargs: {{action_mask_fn: {name}}}}}"
    run = finished_run(case("train-28-masks-by-wrapper"), f"env.wrappers=[{wrapper}]")
    assert isinstance(run.agent, MaskablePPO)
    assert run.record.last.mean_ep_length == 10  # no move left the shaft, which raises


@pytest.mark.parametrize("name", ["alowed", "lift:alowed_moves"])
def test_train_28_a_function_that_is_not_there_is_named(name: str, case: Case, rl: Any) -> None:
    wrapper = f"{{name: {MASKER}, kwargs: {{action_mask_fn: {name!r}}}}}"
    config = case("train-28-masks-by-wrapper")
    said = refused(rl, "check", config, "--set", f"env.wrappers=[{wrapper}]")
    assert "`action_mask_fn` of the wrapper" in said
    assert "Did you mean `allowed" in said


def test_train_28_the_random_policy_takes_valid_actions_only(case: Case, rl: Any) -> None:
    config = case("train-28-masks-by-wrapper")
    change = ["--set", "env.id=lift:WithMasks-v0"]
    finished_run(config, change[1])
    (experiment,) = Path("runs").iterdir()
    assert random_episodes(config, change[1]).lengths.tolist() == [10] * 5
    assert rl("check", config, *change).exit_code == 0
    compared = rl("compare", experiment, experiment / "seed-0")
    assert "raised" not in compared.message


@pytest.mark.parametrize("kind", ["array", "list", "float"])
@pytest.mark.parametrize("multi", ["true", "false"])
def test_train_10_masks_of_every_form_are_kept_by_agents_and_by_the_random_policy(
    kind: str, multi: str, case: Case
) -> None:
    config = case("train-10-masks")
    kwargs = f"env.kwargs={{kind: {kind}, multi: {multi}}}"
    run = finished_run(config, "train.total_timesteps=128", kwargs)
    # An episode fills each box once: box 0 pays 0, box 1 pays 1, box 2 pays 2.
    assert (run.record.last.mean_reward, run.record.last.std_reward) == (3, 0)
    assert random_episodes(config, kwargs).returns.tolist() == [3] * 5


def test_train_10_a_mask_of_another_length_is_named(case: Case, rl: Any) -> None:
    config, change = case("train-10-masks"), "env.kwargs={kind: short}"
    with pytest.raises(EnvError) as caught:
        random_episodes(config, change)
    for message in (refused(rl, "check", config, "--set", change), str(caught.value)):
        assert "returned a numpy.ndarray of shape (2,) from `action_masks`" in message
        assert "Return 3 flags" in message
