from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.agents.image_policies import image_notes, image_problems
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.agents.spaces import policy_for
from rl_runner.config import config_from_dict
from rl_runner.config.schema import ExperimentConfig
from rl_runner.config.yaml_text import SourceMap


def bytes_of(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def config_of(algo: str = "ppo", **env: Any) -> ExperimentConfig:
    raw = {"env": {"id": "Some-v0", **env}, "algo": {"name": algo}}
    return config_from_dict(raw | {"train": {"total_timesteps": 1000}}, SourceMap("test"))


def problems(
    space: spaces.Space[Any], algo: str = "ppo", *, env: Any = None, **checked: Any
) -> Any:
    checked = {"policy": "auto", **checked}
    config = config_of(algo, **(env or {}))
    return list(image_problems(config, ALGORITHMS[algo], checked, space))


def notes(space: spaces.Space[Any], algo: str = "ppo", *, env: Any = None, **checked: Any) -> str:
    checked = {"policy": "auto", **checked}
    chosen = dict(checked)
    if chosen["policy"] == "auto":
        chosen["policy"] = policy_for(ALGORITHMS[algo], space)
    config = config_of(algo, **(env or {}))
    return " ".join(image_notes(config.env, ALGORITHMS[algo], checked, chosen, space))


SMALL, USUAL, GREY = bytes_of(16, 20, 3), bytes_of(40, 40, 3), bytes_of(84, 84)
FLOATS = spaces.Box(0, 1, (3, 40, 40), np.float32)
OWN = {"features_extractor_class": "nets.Small"}


# --- images that are too small --------------------------------------------------------------------


@pytest.mark.parametrize("space", [SMALL, spaces.Dict({"camera": SMALL})])
def test_an_image_too_small_for_the_network_is_refused_with_its_least_size(
    space: spaces.Space[Any],
) -> None:
    (problem,) = problems(space)
    assert "16 × 20 pixels" in problem.what
    assert "at least 36 × 36" in problem.what
    assert "features_extractor_class" in problem.cure
    assert ("policy: MlpPolicy" in problem.cure) == (space is SMALL)


@pytest.mark.parametrize(
    "checked", [{"policy": "MlpPolicy"}, {"policy_kwargs": OWN}, {"policy": "CnnPolicy"}]
)
def test_a_small_image_is_a_vector_or_goes_into_a_network_of_ones_own(
    checked: dict[str, Any],
) -> None:
    assert bool(problems(SMALL, **checked)) == (checked.get("policy") == "CnnPolicy")


def test_the_least_size_is_what_the_network_takes() -> None:
    from stable_baselines3.common.torch_layers import NatureCNN

    NatureCNN(bytes_of(3, 36, 36))
    with pytest.raises(RuntimeError):
        NatureCNN(bytes_of(3, 35, 36))
    assert not problems(bytes_of(36, 36, 3))
    assert problems(bytes_of(35, 36, 3))


# --- grey images without channels -----------------------------------------------------------------


def test_a_grey_image_is_refused_with_the_wrapper_that_adds_an_axis() -> None:
    (problem,) = problems(GREY)
    assert "84 × 84 bytes without a channel axis" in problem.what
    assert "gymnasium.wrappers.ReshapeObservation, kwargs: {shape: [84, 84, 1]}" in problem.cure


def test_stacked_sideways_it_is_the_same_image() -> None:
    (problem,) = problems(bytes_of(84, 4 * 84), env={"frame_stack": 4})
    assert "84 × 84 bytes" in problem.what
    assert "{shape: [84, 84, 1]}" in problem.cure


def test_the_preprocessing_of_atari_can_add_the_axis_itself() -> None:
    (problem,) = problems(GREY, env={"wrappers": ["gymnasium.wrappers.AtariPreprocessing"]})
    assert "grayscale_newaxis: true" in problem.cure


@pytest.mark.parametrize(
    ("space", "checked"),
    [
        (GREY, {"policy": "MlpPolicy"}),
        (GREY, {"policy_kwargs": OWN}),
        (bytes_of(4, 128), {}),  # stacked vectors, such as the memory of an Atari
        (spaces.Box(0, 3, (84, 84), np.uint8), {}),  # a board
        (USUAL, {}),
    ],
)
def test_a_matrix_is_taken_for_an_image_only_if_it_looks_like_one(
    space: spaces.Box, checked: dict[str, Any]
) -> None:
    assert problems(space, **checked) == []


def test_without_a_network_for_images_there_is_nothing_to_refuse() -> None:
    assert problems(GREY, "crossq") == problems(SMALL, "crossq") == []


# --- what a convolutional policy cannot take ------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "kwargs", "said"),
    [
        (FLOATS, {}, "takes images of bytes from 0 to 255"),
        (spaces.Box(0, 1, (40, 40, 3)), {"normalize_images": False}, "channels × height × width"),
        (spaces.Box(0, 1, (4,)), {}, "CnnPolicy takes images. The observations of Some-v0 are Box"),
        (
            spaces.Discrete(3),
            {},
            "CnnPolicy takes images. The observations of Some-v0 are Discrete",
        ),
        (GREY, {}, "without a channel axis"),
    ],
)
def test_a_convolutional_policy_refuses_what_is_not_an_image(
    space: spaces.Space[Any], kwargs: dict[str, Any], said: str
) -> None:
    (problem,) = problems(space, policy="CnnPolicy", policy_kwargs=kwargs)
    assert said in problem.what


def test_it_takes_numbers_that_the_user_says_to_keep() -> None:
    kwargs = {"normalize_images": False}
    assert problems(FLOATS, policy="CnnPolicy", policy_kwargs=kwargs) == []


def test_images_of_one_dictionary_have_their_channels_in_the_same_place() -> None:
    mixed = spaces.Dict({"left": USUAL, "right": bytes_of(3, 40, 40)})
    (problem,) = problems(mixed)
    assert "`left`, `right`, some have their channels first and some last" in problem.what


@pytest.mark.parametrize("space", [USUAL, spaces.Dict({"camera": USUAL})])
@pytest.mark.parametrize("normalize", [True, {"rewards": True}, False])
def test_images_that_nothing_would_scale_are_refused(
    space: spaces.Space[Any], normalize: Any
) -> None:
    kwargs = {"normalize_images": False}
    found = problems(space, env={"normalize": normalize}, policy_kwargs=kwargs)
    assert ["nothing else scales" in problem.what for problem in found] == [True] * (
        normalize is True
    )


# --- notes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", [{}, {"normalize": {"rewards": True}}])
def test_nothing_is_said_of_images_that_are_seen_as_images(env: dict[str, Any]) -> None:
    assert notes(USUAL, env=env) == ""


def test_images_are_not_normalised_and_that_is_said() -> None:
    both = spaces.Dict({"camera": USUAL, "speed": spaces.Box(-1, 1, (2,))})
    said = notes(both, env={"normalize": True})
    assert said.startswith("`camera`: Images are left as they are by `env.normalize`")
    assert "MultiInputPolicy" in said
    assert "speed" not in said


@pytest.mark.parametrize("space", [FLOATS, spaces.Box(0, 1, (84, 84)), spaces.Box(0, 3, (84, 84))])
def test_numbers_with_height_and_width_are_separate_numbers_and_that_is_said(
    space: spaces.Box,
) -> None:
    said = notes(space)
    assert "MlpPolicy sees" in said
    assert "as bytes from 0 to 255" in said
    assert notes(space, policy="MlpPolicy") == ""


def test_an_algorithm_without_a_network_for_images_says_so() -> None:
    assert "crossq has no network for images; it sees 40 × 40 × 3" in notes(USUAL, "crossq")


@pytest.mark.parametrize("space", [spaces.Box(0, 1, (4,)), spaces.Box(0, 1, (3, 5))])
def test_vectors_and_small_matrices_need_no_note(space: spaces.Box) -> None:
    assert notes(space) == ""
