"""The description beside an exported policy: inputs, outputs, origin, and code that asks it."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from rl_runner.serving.portable.network import PortablePolicy
    from rl_runner.serving.portable.onnx_file import Parity

MOST_BOUNDS = 8  # numbers of a space's bounds that are listed


def origin_section(origin: dict[str, str]) -> str:
    """Return a table of where a policy comes from."""
    rows = [("what", "value"), *origin.items()]
    return f"## Origin\n\n{_table(rows)}"


def onnx_readme(policy: "PortablePolicy", parity: "Parity", origin: dict[str, str]) -> str:
    """Return the description of a policy as ONNX."""
    inputs = [("name", "type", "shape", "what")]
    for each in policy.inputs():
        kind, shape = np.dtype(each.space.dtype or "int64").name, each.space.shape or ()
        inputs.append((each.name, kind, _shape(shape), _meaning(each.space, each.is_normalized)))
    if policy.takes_masks:
        flags = sum(policy.choices or [])
        inputs.append(("action_masks", "bool", _shape((flags,)), "true: a valid choice"))
    actions = policy.actions
    kind = np.dtype(actions.dtype or "int64").name if isinstance(actions, spaces.Box) else "int64"
    outputs = [("name", "type", "shape", "what")]
    outputs.append(("action", kind, _shape(actions.shape or ()), f"for the environment: {actions}"))
    if policy.scores:
        what = {
            "logits": "unnormalised log-probabilities of the choices, component after component",
            "action_values": "the estimated value of each action",
        }[policy.scores]
        width = sum(policy.choices or [int(np.prod(actions.shape or ()))])
        outputs.append((policy.scores, "float32", _shape((width,)), what))
    ties = f" {parity.ties} of the actions were another one of equally good ones." * bool(
        parity.ties
    )
    example = "\n".join(
        f'    "{name}": np.array({value!r}, dtype="{dtype}"),'
        for name, dtype, value in _example(policy)
    )
    return f"""# {origin["policy"]}

`policy.onnx` is a trained policy as a network (ONNX, opset {origin["opset"]}). It answers n
observations at a time, each with the action that the policy prefers.

## Inputs

{_table(inputs)}

Observations are passed as the environment returns them: the file normalises them itself, where the
agent was trained with normalised ones.

## Outputs

{_table(outputs)}

The file was compared with the agent on {parity.observations:,} observations drawn from the
environment's space; the largest difference was {parity.difference:.1e}.{ties}

## Use

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("policy.onnx")
answers = session.run(None, {{
{example}
}})
print(answers[0])
```

{origin_section(origin)}
"""


def _example(policy: "PortablePolicy") -> list[tuple[str, str, Any]]:
    """Return the name, type and a value of each input: a batch of one."""
    found = []
    for each in policy.inputs():
        each.space.seed(0)
        value = np.asarray(each.space.sample())
        found.append((each.name, value.dtype.name, _shortened(value)))
    if policy.takes_masks:
        found.append(("action_masks", "bool", [[True] * sum(policy.choices or [])]))
    return found


def _shortened(value: np.ndarray) -> Any:
    """Return a batch of one as lists; images would fill pages, so theirs is one colour."""
    return [(value if value.size <= 100 else np.zeros_like(value)).tolist()]


def agent_table_readme(document: dict[str, Any], origin: dict[str, str]) -> str:
    """Return the description of an agent's table."""
    n, first = document["actions"]["number"], document["actions"]["first"]
    components = document["observation"]["components"]
    return f"""# {origin["policy"]}

`policy.json` is a table: the value of each of {n} actions in every state.

- Input: an observation of the environment: {components} whole number{"s" * (components > 1)}.
- Output: an action from {first} to {first + n - 1}, the one with the highest value.

## Use

```python
import json

with open("policy.json") as file:
    policy = json.load(file)
observation = policy["observation"]


def row_of(components):
    parts = zip(components, observation["starts"], observation["strides"])
    return sum((component - start) * stride for component, start, stride in parts)


def act(*components):
    values = policy["values"][policy["row_of"][row_of(components)]]
    return policy["actions"]["first"] + values.index(max(values))


print(act(*observation["starts"]))
```

{origin_section(origin)}
"""


def log_table_readme(document: dict[str, Any], origin: dict[str, str]) -> str:
    """Return the description of a table learned from a log."""
    n = document["actions"]["number"]
    context = dict.fromkeys(document["observation"]["traits"], 50)
    context |= {name: each["words"][0] for name, each in document["observation"]["words"].items()}
    return f"""# {origin["policy"]}

`policy.json` is a table: the value of each of {n} actions for every kind of context.

- Input: a context: five traits from 0 to 100, and three words.
- Output: an action from 0 to {n - 1}, the one with the highest value, and its parameters. The table
  does not explore: whoever deploys it decides how often another action is drawn, and logs the
  probability.

## Use

```python
import json

with open("policy.json") as file:
    policy = json.load(file)
observation = policy["observation"]


def row_of(context):
    row, bins = 0, observation["bins"]
    for trait, stride in observation["traits"].items():
        row += min(int(context[trait] * bins // 100), bins - 1) * stride
    for name, part in observation["words"].items():
        row += part["words"].index(context[name]) * part["stride"]
    return row


def act(context, eligible=range({n})):
    values = policy["values"][policy["row_of"][row_of(context)]]
    return max(eligible, key=lambda action: (values[action], -action))


context = {json.dumps(context)}
print(act(context), policy["actions"]["parameters"][act(context)])
```

{origin_section(origin)}
"""


def _meaning(space: spaces.Space[Any], is_normalized: bool) -> str:
    """Return what a part of the observations is."""
    if isinstance(space, spaces.Discrete):
        return f"a number from {int(space.start)} to {int(space.start + space.n - 1)}"
    if isinstance(space, spaces.Box):
        low, high = (np.unique(np.asarray(bound)) for bound in (space.low, space.high))
        many = len(low) > MOST_BOUNDS or len(high) > MOST_BOUNDS
        ends = f"{_numbers(low)} to {_numbers(high)}" if not many else "its own bounds"
        image = ", channels first" * (len(space.shape) == 3)
        return f"from {ends}{image}" + ", normalised inside" * is_normalized
    return str(space)


def _numbers(values: np.ndarray) -> str:
    return " / ".join(f"{value:g}" for value in values.tolist())


def _shape(shape: Sequence[int]) -> str:
    return f"(n{''.join(f', {size}' for size in shape)})"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows, the first of which has the headings, as Markdown."""
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
