import multiprocessing
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rl_runner import config_from_dict, load_run, train
from rl_runner.training.task import RunResult

MODULE = """
    import gymnasium as gym

    class Robot(gym.Env):
        def __init__(self, breaks=False, render_mode=None):
            self.observation_space = gym.spaces.Discrete(3)
            self.action_space = gym.spaces.Discrete(2)
            self.breaks, self.n_steps, self.render_mode = breaks, 0, render_mode

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed, options=options)
            return 0, {}

        def step(self, action):
            self.n_steps += 1
            if self.breaks and self.n_steps == 8:
                raise RuntimeError("the gripper came off")
            reward = float(self.np_random.integers(5))
            over = bool(self.np_random.random() < 0.3)
            return int(self.np_random.integers(3)), reward, over, False, {}

    gym.register("SubprocessTestRobot-v0", entry_point=Robot, max_episode_steps=5)
"""


@pytest.fixture(scope="module")
def train_robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunResult]]:
    """Train on an environment that processes import from a module of their own."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "subprocess_test_robot.py").write_text(textwrap.dedent(MODULE))

    def run(vec: str, *, breaks: bool = False) -> RunResult:
        env_id = "subprocess_test_robot:SubprocessTestRobot-v0"
        raw: dict[str, Any] = {
            "name": "robot",
            "env": {"id": env_id, "kwargs": {"breaks": breaks}, "n_envs": 2, "vec": vec},
            "algo": {"name": "q_learning"},
            "train": {"total_timesteps": 80, "seeds": [0]},
            "eval": {"every": 80, "n_episodes": 1, "final_episodes": 2},
        }
        return train(config_from_dict(raw), runs_dir=folder / vec).runs[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield run


@pytest.fixture(scope="module")
def robot(train_robot: Callable[..., RunResult]) -> RunResult:
    return train_robot("subproc")


@pytest.fixture
def no_child_left() -> Iterator[None]:
    before = set(multiprocessing.active_children())
    yield
    left = set(multiprocessing.active_children()) - before
    for process in left:
        process.terminate()
        process.join()
    assert left == set()


@pytest.mark.usefixtures("no_child_left")
def test_environments_in_subprocesses_give_the_same_numbers(
    train_robot: Callable[..., RunResult],
    robot: RunResult,
    same_numbers: Callable[[Path, Path], None],
):
    here = train_robot("dummy")
    assert robot.status == here.status == "finished", robot.record.traceback
    assert robot.path.parent.name == here.path.parent.name
    same_numbers(robot.path, here.path)
    assert robot.record.results == here.record.results


@pytest.mark.usefixtures("no_child_left")
def test_loading_a_run_leaves_no_process_behind(robot: RunResult):
    run = load_run(robot.path)
    assert run.evaluate().mean_reward == robot.mean_reward


@pytest.mark.usefixtures("no_child_left")
def test_a_failure_in_a_subprocess_is_recorded_with_the_way_to_its_cause(
    train_robot: Callable[..., RunResult],
):
    broken = train_robot("subproc", breaks=True)
    assert broken.status == "failed"
    assert "RuntimeError: the gripper came off" in broken.record.error
    assert "subprocess_test_robot.py" in broken.record.error
    assert "the gripper came off" in broken.record.traceback
