"""What a trained policy computes, as one torch module: raw observations in, actions out.

Agents normalise outside of their networks, and SB3 clips or scales actions in NumPy. Here all of it
is inside, so that a program elsewhere passes what the environment returns.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.ars.policies import ARSPolicy
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.crossq.policies import CrossQPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from rl_runner.agents.algorithms.reinforce import Reinforce
from rl_runner.agents.protocol import Agent
from rl_runner.envs.masking import n_choices

MASKED = -1e8  # the logit of an action that is not valid, as in sb3-contrib

KNOWN = (
    ActorCriticPolicy,
    MaskableActorCriticPolicy,
    ARSPolicy,
    DQNPolicy,
    QRDQNPolicy,
    SACPolicy,
    TQCPolicy,
    CrossQPolicy,
    TD3Policy,
)

Scores = Literal["logits", "action_values", ""]


class Input(NamedTuple):
    """One input of a portable policy."""

    name: str
    space: spaces.Space[Any]
    is_normalized: bool


class PortablePolicy(nn.Module):
    """The deterministic policy of an agent.

    :param agent: as :func:`rl_runner.evaluation.play.loaded_run.load_run` returns it
    :raises ValueError: if its policy is not a feed-forward network
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        env = agent.get_env()
        assert env is not None  # noqa: S101 - every loaded run has one
        self.observations: spaces.Space[Any] = env.observation_space
        self.actions: spaces.Space[Any] = env.action_space
        self.is_reinforce = isinstance(agent, Reinforce)
        policy: Any = getattr(agent, "policy", None)
        if not isinstance(policy, nn.Module):
            message = "its policy is not a network"
            raise ValueError(message)
        if isinstance(policy, RecurrentActorCriticPolicy):
            message = "its policy is recurrent: it would need its memory as an input"
            raise ValueError(message)
        if not self.is_reinforce and not isinstance(policy, KNOWN):
            message = f"its policy, {type(policy).__name__}, is none of SB3's"
            raise ValueError(message)
        self.policy = policy.to("cpu").eval()
        self.takes_masks = isinstance(policy, MaskableActorCriticPolicy)
        self._read_normalization(agent.get_vec_normalize_env())
        if isinstance(self.actions, spaces.Box):
            self.register_buffer("low", torch.as_tensor(self.actions.low))
            self.register_buffer("high", torch.as_tensor(self.actions.high))

    def _read_normalization(self, layer: VecNormalize | None) -> None:
        """Keep mean and standard deviation of each part of the observations that is normalised."""
        self.normalized: set[str] = set()
        self.clip = 0.0
        if layer is None or not layer.norm_obs:
            return
        self.clip = float(layer.clip_obs)
        moments: Any = layer.obs_rms
        for key, each in (moments if isinstance(moments, dict) else {"": moments}).items():
            self.normalized.add(key)
            std = np.sqrt(each.var + layer.epsilon)
            self.register_buffer(f"mean_{_number(self, key)}", torch.as_tensor(each.mean))
            self.register_buffer(f"std_{_number(self, key)}", torch.as_tensor(std))

    @property
    def keys(self) -> list[str]:
        """The keys of Dict observations; one empty key for others."""
        return list(self.observations) if isinstance(self.observations, spaces.Dict) else [""]

    def inputs(self) -> list[Input]:
        """Return the inputs in the order of :meth:`forward`, but for the masks."""
        space = self.observations
        parts = [space[key] if isinstance(space, spaces.Dict) else space for key in self.keys]
        return [
            Input(key or "observation", part, key in self.normalized)
            for key, part in zip(self.keys, parts, strict=True)
        ]

    @property
    def choices(self) -> list[int] | None:
        """How many scores each component of an action has; None if each flag has one."""
        if isinstance(self.actions, spaces.MultiBinary) and not self.takes_masks:
            return None
        return n_choices(self.actions)

    @property
    def scores(self) -> Scores:
        """What the second output is; empty if there is none."""
        if isinstance(self.actions, spaces.Box):
            return ""
        return "action_values" if isinstance(self.policy, DQNPolicy | QRDQNPolicy) else "logits"

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the actions of n observations and, unless they are continuous, their scores.

        :param inputs: one tensor (n, …) per part of the observations, and the masks (n, flags)
        """
        parts = dict(zip(self.keys, inputs, strict=False))
        prepared = {key: self._normalize(key, part) for key, part in parts.items()}
        scores = self._scores(prepared if self.keys != [""] else prepared[""])
        if self.takes_masks:
            scores = torch.where(inputs[-1], scores, torch.full_like(scores, MASKED))
        if isinstance(self.actions, spaces.Box):
            return (self._bounded(scores),)
        return self._chosen(scores), scores

    def _normalize(self, key: str, part: torch.Tensor) -> torch.Tensor:
        if key not in self.normalized:
            return part
        number = _number(self, key)
        # In double precision, as VecNormalize computes.
        mean, std = (_tensor(getattr(self, f"{name}_{number}")) for name in ("mean", "std"))
        return ((part.double() - mean) / std).clamp(-self.clip, self.clip).float()

    def _scores(self, observations: Any) -> torch.Tensor:
        """Return logits, action values, or the mean of a continuous action, (n, …)."""
        policy: Any = self.policy
        if self.is_reinforce:
            return self._reinforce_outputs(observations)
        match policy:
            case DQNPolicy():
                scores = policy.q_net(observations)
            case QRDQNPolicy():
                scores = policy.quantile_net(observations).mean(dim=1)
            case SACPolicy() | TQCPolicy() | CrossQPolicy():
                scores = torch.tanh(policy.actor.get_action_dist_params(observations)[0])
            case TD3Policy():
                scores = policy.actor(observations)
            case ARSPolicy():
                extractor = policy.features_extractor
                scores = policy.action_net(policy.extract_features(observations, extractor))
            case _:  # actor-critics; their own method returns the critic's features too
                extractor = policy.pi_features_extractor
                features = BasePolicy.extract_features(policy, observations, extractor)
                scores = policy.action_net(policy.mlp_extractor.forward_actor(features))
                scores = torch.tanh(scores) if policy.squash_output else scores
        return _tensor(scores)

    def _reinforce_outputs(self, observations: torch.Tensor) -> torch.Tensor:
        space: Any = self.observations
        if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
            observations = observations - torch.as_tensor(space.start)
        features: Any = preprocess_obs(observations, space)
        policy: Any = self.policy
        return _tensor(policy.body(features.flatten(start_dim=1)))

    def _bounded(self, scores: torch.Tensor) -> torch.Tensor:
        """Return continuous actions within their bounds, in the shape of their space."""
        actions = scores.reshape(-1, *(self.actions.shape or ()))
        low, high = _tensor(self.low), _tensor(self.high)
        if getattr(self.policy, "squash_output", False):
            return low + 0.5 * (actions + 1.0) * (high - low)
        return torch.maximum(torch.minimum(actions, high), low)

    def _chosen(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the actions with the highest scores."""
        if isinstance(self.actions, spaces.Discrete):
            first = int(self.actions.start) if self.is_reinforce else 0  # SB3's begin at 0
            return scores.argmax(dim=1) + first
        shape = (-1, *(self.actions.shape or ()))
        if self.choices is None:
            return (scores > 0).to(torch.int64).reshape(shape)
        parts = torch.split(scores, self.choices, dim=1)
        return torch.stack([part.argmax(dim=1) for part in parts], dim=1).reshape(shape)


def _tensor(value: Any) -> torch.Tensor:
    """Return a value whose library does not say that it is a tensor."""
    tensor: torch.Tensor = value
    return tensor


def _number(policy: PortablePolicy, key: str) -> int:
    """Return a key's number: a key itself may be no valid name of a buffer."""
    return policy.keys.index(key)
