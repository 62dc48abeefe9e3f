import hashlib
import json
import socket
from pathlib import Path

import pytest

from rl_runner.errors import ConfigError, RunnerError
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.keys import SCOPES, add_key, load_keys, remove_key
from rl_runner.serving.server import run_server

PUBLISHED = "admin-dev-key-change-in-production"


def test_a_key_is_found_by_its_token_and_stored_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    token = add_key(file, "shop", SCOPES[:2])
    found = load_keys(file).find(token)
    assert found is not None
    assert (found.name, found.scopes) == ("shop", SCOPES[:2])
    assert token not in file.read_text()
    assert load_keys(file).find(f"{token}x") is None


def test_the_published_key_is_refused_and_can_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add_key(file, "shop", SCOPES)
    written = json.loads(file.read_text())
    digest = hashlib.sha256(PUBLISHED.encode()).hexdigest()
    written["keys"].append({**written["keys"][0], "name": "dev", "sha256": digest})
    file.write_text(json.dumps(written))
    with pytest.raises(ConfigError, match="rl serve keys CONFIG --remove dev"):
        load_keys(file)
    remove_key(file, "dev")
    assert [key.name for key in load_keys(file).keys] == ["shop"]


def test_a_start_that_fails_makes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key is shown once, so it must not be made before it can be shown."""
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for own in (port, 0):  # the port is taken; the champion does not exist
            config = ServeConfig(name="mine", env="Taxi-v4", champion="nowhere", port=own)
            with pytest.raises(RunnerError):
                run_server(config, lambda _: None)
            assert not config.keys_file.exists()
