"""Measures tabular Q-learning, and the time of updates against their pure arithmetic."""

import functools
import time
from collections.abc import Callable
from typing import Any

from speed_peers import zoo_config


def best_of(repetitions: int, work: Callable[[], Any]) -> float:
    """Return the shortest time, in seconds: what interrupts can only lengthen it."""
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def print_tabular() -> dict[str, float]:
    """Compare Q-learning's steps a second on FrozenLake; return them."""
    from rl_runner.agents.algorithms.q_learning import QLearning
    from rl_runner.agents.fast.q_learning import FastQLearning
    from rl_runner.config import EnvConfig
    from rl_runner.envs import build_env

    config = EnvConfig(id="FrozenLake-v1", time_limit=100)
    readable = QLearning(build_env(config, [0]), seed=0)
    compiled = FastQLearning(build_env(config, [0]), seed=0)
    compiled.learn(1000)  # compiles
    rates = {
        "the usual loop": 20_000 / best_of(3, lambda: usual_loop(20_000)),
        "`engine: stock`": 5_000 / best_of(3, lambda: readable.learn(5_000)),
        "`engine: fast`": 1_000_000 / best_of(3, lambda: compiled.learn(1_000_000)),
    }
    print("| tabular Q-learning, FrozenLake-v1 | steps a second | ratio |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / rates['the usual loop']:.1f} × |", flush=True)
    return rates


def usual_loop(n_steps: int) -> None:
    """Learn as the tutorials do."""
    import gymnasium as gym
    import numpy as np

    env, rng = gym.make("FrozenLake-v1"), np.random.default_rng(0)
    q_table = np.zeros((16, 4))
    state, _ = env.reset(seed=0)
    for _ in range(n_steps):
        explore = rng.random() < 0.1
        action = env.action_space.sample() if explore else int(np.argmax(q_table[state]))
        next_state, reward, terminated, truncated, _ = env.step(action)
        target = reward + 0.99 * np.max(q_table[next_state]) * (not terminated)
        q_table[state, action] += 0.1 * (target - q_table[state, action])
        state = env.reset()[0] if terminated or truncated else next_state


def print_arithmetic() -> dict[str, Any]:
    """Compare an update's seconds with those of its products at full speed; return them."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    square = np.ones((1024, 1024), np.float32)
    peak = 2 * 1024**3 / best_of(20, lambda: square @ square)  # operations a second
    print(f"matrix products: {peak / 1e9:.0f} GFLOP/s\n")
    print("| update | products alone | stock SB3 | ours | ratio | share of the limit |")
    print("|---|---|---|---|---|---|")
    rows: dict[str, Any] = {"operations a second": peak}
    for name, (stock, fast, flops) in updates().items():
        limit, theirs, ours = flops / peak, best_of(20, stock), best_of(20, fast)
        rows[name] = {"products alone": limit, "stock SB3": theirs, "ours": ours}
        print(
            f"| {name} | {limit * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | {ours * 1e3:.2f} ms "
            f"| {theirs / ours:.1f} × | {limit / ours:.0%} |",
            flush=True,
        )
    return rows


def updates() -> dict[str, tuple[Callable[[], Any], Callable[[], Any], float]]:
    """Return each update by stock SB3 and by us, and its floating point operations."""
    from stable_baselines3.common.logger import Logger

    from rl_runner.agents.build import build_agent
    from rl_runner.agents.registry import find_algorithm
    from rl_runner.config import load_config
    from rl_runner.envs import build_env
    from rl_runner.training.resolve import resolve

    found = {}
    for algo in ("ppo", "a2c", "dqn"):
        config = resolve(load_config(zoo_config(algo))).config
        env = config.env
        agents: list[Any] = []
        for engine in ("stock", "fast"):
            copies = build_env(env, range(env.n_envs))
            hyperparameters = {**config.algo.hyperparameters, "device": "cpu"}
            agent: Any = build_agent(find_algorithm(algo), hyperparameters, copies, 0, engine)
            agent.set_logger(Logger(None, []))
            agent.learn(2048 if algo == "dqn" else agent.n_steps * agent.n_envs)
            agents.append(agent)
        width = hidden_width(config.algo.hyperparameters)
        inner, outer = width * width, 6 * width  # 4 observations and 2 actions
        if algo == "dqn":  # target and network forward; backward by weights and by inputs
            steps, rows = 32, agents[0].batch_size
            trains = [functools.partial(agent.train, steps, rows) for agent in agents]
            flops = 2.0 * steps * rows * (4 * inner + 3.5 * outer)
        else:  # two networks forward and backward
            rollout = agents[0].n_steps * env.n_envs
            rows = agents[0].batch_size if algo == "ppo" else rollout
            steps = agents[0].n_epochs * rollout // rows if algo == "ppo" else 1
            trains = [agent.train for agent in agents]
            flops = 2.0 * steps * rows * 2 * (3 * inner + 2.5 * outer)
        found[f"{algo.upper()}, {steps} × {rows} rows"] = (trains[0], trains[1], flops)
    return found


def hidden_width(hyperparameters: dict[str, Any]) -> int:
    """Return the width of a policy's two hidden layers."""
    net_arch: list[int] = (hyperparameters.get("policy_kwargs") or {}).get("net_arch", [64, 64])
    return net_arch[0]
