"""Writing a policy as ONNX, and comparing what the file answers with what the agent predicts."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rl_runner.agents.protocol import Agent
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    import onnx

    from rl_runner.serving.portable.network import PortablePolicy

OBSERVATIONS = 10_000  # that are compared
AT_ONCE = 250
TOLERANCE = 1e-5
OPSET = 18
_SAMPLES = 3  # of the batch by which the network is traced

Batch = list[np.ndarray]  # one array (n, …) per input of the file


class Parity(NamedTuple):
    """How much the answers of a file differ from those of its agent."""

    observations: int
    difference: float  # the largest: absolute, or relative to values beyond 1
    ties: int  # other actions, whose scores are equal within the tolerance


class NotEqualError(Exception):
    """A file answers something else than its agent."""


def check_installed() -> None:
    """Refuse to write ONNX without the extra.

    :raises ConfigError: naming what to install
    """
    try:
        import onnx  # noqa: F401 - only whether it is installed
        import onnxruntime  # noqa: F401 - as above
        import onnxscript  # noqa: F401 - as above
    except ImportError as error:
        what = f"`--format onnx` needs the package {error.name}."
        cure = "Install it: `pip install 'rl-runner[onnx]'`."
        raise ConfigError(Problem(what, "", cure)) from None


def write_onnx(
    agent: Agent, policy: "PortablePolicy", path: Path, properties: dict[str, str]
) -> Parity:
    """Write an agent's policy, and compare it with the agent on observations of its space.

    :param policy: of the agent
    :param properties: what the file's metadata says
    :raises NotEqualError: if the file answers something else than the agent
    """
    import onnx

    model = _traced(policy)
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return _compare(agent, policy, path)


def input_names(policy: "PortablePolicy") -> list[str]:
    """Return the names of a file's inputs."""
    names = [each.name for each in policy.inputs()]
    return [*names, "action_masks"] if policy.takes_masks else names


def output_names(policy: "PortablePolicy") -> list[str]:
    """Return the names of a file's outputs."""
    return ["action", policy.scores] if policy.scores else ["action"]


def _traced(policy: "PortablePolicy") -> "onnx.ModelProto":
    """Translate the module; n, the number of observations, stays variable."""
    import torch

    tensors = tuple(torch.as_tensor(each) for each in next(_batches(policy, _SAMPLES, _SAMPLES)))
    n = torch.export.Dim("n", min=1)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            policy,
            tensors,
            dynamo=True,
            opset_version=OPSET,
            input_names=input_names(policy),
            output_names=output_names(policy),
            dynamic_shapes=(tuple({0: n} for _ in tensors),),
            external_data=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - with dynamo
    model: onnx.ModelProto = program.model_proto
    _forget_origin(model)
    return model


def _forget_origin(model: "onnx.ModelProto") -> None:
    """Remove what the translation notes of this machine: stack traces, with its paths."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for part in (*graph.input, *graph.output):
        part.ClearField("metadata_props")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
    model.ClearField("metadata_props")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the translation's remarks about its own internals away from the user."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _batches(policy: "PortablePolicy", n: int, at_once: int) -> Iterator[Batch]:
    """Yield n observations drawn from the space with a fixed seed, and valid masks."""
    inputs = policy.inputs()
    for number, each in enumerate(inputs):
        each.space.seed(number)
    rng = np.random.default_rng(0)
    for first in range(0, n, at_once):
        size = min(at_once, n - first)
        batch = [_sampled(each.space, size) for each in inputs]
        if policy.takes_masks:
            batch.append(_masks(policy.actions, size, rng))
        yield batch


def _sampled(space: spaces.Space[Any], n: int) -> np.ndarray:
    return np.stack([np.asarray(space.sample()) for _ in range(n)])


def _masks(actions: spaces.Space[Any], n: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n, flags) masks with a valid choice in every component."""
    from rl_runner.envs.masking import n_choices

    parts = []
    for choices in n_choices(actions) or []:
        part = rng.random((n, choices)) < 0.7
        part[np.arange(n), rng.integers(choices, size=n)] = True
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _compare(agent: Agent, policy: "PortablePolicy", path: Path) -> Parity:
    """Ask the file and the agent for the same actions.

    :raises NotEqualError: at the first batch in which they differ
    """
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    largest, ties = 0.0, 0
    for batch in _batches(policy, OBSERVATIONS, AT_ONCE):
        answers = session.run(None, dict(zip(input_names(policy), batch, strict=True)))
        expected = _predicted(agent, policy, batch)
        with torch.no_grad():
            outputs = policy(*map(torch.as_tensor, batch))
        differs = answers[0] != expected
        if policy.scores:
            scores = outputs[1].numpy()
            largest = max(largest, _difference(answers[1], scores))
            ties += _ties(policy, differs, scores)
        else:
            largest = max(largest, _difference(answers[0], expected))
        if largest > TOLERANCE:
            message = f"its answers differ by {largest:.2g}, more than {TOLERANCE:g}"
            raise NotEqualError(message)
    return Parity(OBSERVATIONS, largest, ties)


def _predicted(agent: Agent, policy: "PortablePolicy", batch: Batch) -> np.ndarray:
    """Return what the agent itself predicts."""
    parts: Any = dict(zip(policy.keys, batch, strict=False))
    observations = parts if isinstance(policy.observations, spaces.Dict) else parts[""]
    layer = agent.get_vec_normalize_env()
    if layer is not None:
        observations = layer.normalize_obs(observations)
    predict: Any = agent.predict  # masks are the argument of some algorithms only
    masks = {"action_masks": batch[-1]} if policy.takes_masks else {}
    return np.asarray(predict(observations, deterministic=True, **masks)[0])


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max(initial=0.0))


def _ties(policy: "PortablePolicy", differs: np.ndarray, scores: np.ndarray) -> int:
    """Count other actions whose scores are equal to the best ones within the tolerance.

    :param differs: (n,) or (n, components), whether the file chose otherwise
    :raises NotEqualError: if another action was chosen that is worse
    """
    n = len(scores)
    differs = differs.reshape(n, -1)
    if not differs.any():
        return 0
    for i, component in zip(*np.nonzero(differs), strict=True):
        if not _is_tied(policy.choices, scores[i], int(component)):
            message = "it chooses another action, whose score is not as good"
            raise NotEqualError(message)
    return int(differs.any(axis=1).sum())


def _is_tied(choices: list[int] | None, scores: np.ndarray, component: int) -> bool:
    """Return whether the two best choices of a component are equal within the tolerance."""
    if choices is None:
        return bool(abs(scores[component]) <= TOLERANCE)
    part = np.sort(np.split(scores, np.cumsum(choices)[:-1])[component])
    return bool(part[-1] - part[-2] <= 2 * TOLERANCE * max(1.0, abs(part[-1])))
