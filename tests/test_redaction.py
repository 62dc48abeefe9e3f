import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.errors import bounded, describe_exception
from rl_runner.redaction import redacted, redacted_arguments, redacted_url, redacted_yaml

SECRET = "HUNTER2/x"  # noqa: S105 - not a password of anything


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@host/db",
        f"postgresql+psycopg://me:p@{SECRET}@host:5432/db",
        f"postgresql//me:{SECRET}@h/db",
        f"postgresql:/me:{SECRET}@h/db",
        f"postgresql://me:12:{SECRET}@h/db",
        f"me:{SECRET}@h/db",
        f"redis://:{SECRET}@host:6379/0",
        f"sqlite:///file:runs.db?uri=true&password={SECRET}",
        f"postgresql://host/db?user=me&sslpassword={SECRET}",
        "https://HUNTER2@github.com/me/private",
        f"https://host/file?X-Amz-Signature={SECRET}&part=1",
        f"https://host/?access_token={SECRET}#top",
    ],
)
def test_a_url_keeps_no_secret_in_any_place(url: str):
    assert "HUNTER2" not in redacted_url(url)
    assert "HUNTER2" not in " ".join(redacted_arguments(["tune", "a.yaml", "--storage", url]))
    assert "HUNTER2" not in redacted_arguments([f"--storage={url}"])[0]


@pytest.mark.parametrize(
    "text",
    [
        f"cannot connect to postgresql://me:{SECRET}@host/db: refused",
        f"Client(host='a', api_key='{SECRET}')",
        f"{{'user': 'me', 'password': '{SECRET}'}}",
        f'{{"token": "{SECRET}"}}',
        "401 for Authorization: Bearer HUNTER2HUNTER2",
        "login failed: ghp_HUNTER2HUNTER2HUNTER2",
        f"WANDB_API_KEY={SECRET}",
    ],
)
def test_a_text_keeps_no_secret(text: str):
    assert "HUNTER2" not in redacted(text)
    assert "HUNTER2" not in bounded(text)
    assert "HUNTER2" not in describe_exception(RuntimeError(text))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key", SECRET],
        ["--set", f"env.kwargs.password={SECRET}"],
        [f"--db-password={SECRET}"],
        ["--set", f"env.kwargs.url=postgresql://me:{SECRET} with a space@h/db"],
    ],
)
def test_arguments_keep_no_secret(arguments: list[str]):
    assert "HUNTER2" not in " ".join(redacted_arguments(arguments))


@pytest.mark.parametrize(
    "words",
    [
        [
            "train",
            "configs/cartpole/ppo.yaml",
            "--set",
            "algo.learning_rate=1e-3",
            "--seeds",
            "0..4",
        ],
        ["tune", "a.yaml", "--storage", "sqlite:///runs/optuna.db", "--study", "tokens"],
        ["tune", "a.yaml", "--storage", "postgresql://me@host:5432/optuna"],
        ["train", "a.yaml", "--set", "env.id=my_module:Env-v0", "--set", "env.kwargs.max_tokens=9"],
        ["eval", "https://example.org:8080/agents/agent.zip"],
    ],
)
def test_what_is_not_secret_stays(words: list[str]):
    assert redacted_arguments(words) == words
    assert redacted(" ".join(words)) == " ".join(words)


@pytest.mark.parametrize(
    "text",
    [
        "env:\n  kwargs:\n    password: HUNTER2\n    n: 1\n",
        "env: {kwargs: {api_key: HUNTER2, n: 1}}\n",
    ],
)
def test_a_config_for_others_keeps_no_secret(text: str):
    shown = redacted_yaml(text)
    assert "HUNTER2" not in shown
    assert shown.replace("'***'", "HUNTER2") == text


@pytest.mark.parametrize("word", ["a", "a.", "a:/", "me:", "x@", "password ", "'", "http://"])
def test_a_long_text_is_bounded_with_its_length(word: str):
    text = word * 1_000_000
    shown = bounded(text)
    assert len(shown) < 2_100
    assert f"{len(text) - 2_000:,} characters left out" in shown


def test_values_of_secret_environment_variables_are_hidden(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "HUNTER2-value")
    monkeypatch.setenv("DB_PASSWORD", "HUNTER2")
    assert redacted("refused HUNTER2-value, then HUNTER2") == "refused ***, then ***"


@given(st.text(string.printable.replace("\n", ""), min_size=1))
def test_no_password_of_a_url_survives(password: str):
    marked = quote(password, safe="") + "HUNTER2"
    assert "HUNTER2" not in redacted(f"failed: postgresql://me:{marked}@host/db")
    assert "HUNTER2" not in redacted_url(f"postgresql://me:{password}HUNTER2@host/db")


@given(st.text())
def test_redacting_again_changes_nothing(text: str):
    assert redacted(redacted(text)) == redacted(text)


def test_the_shells_working_directory_is_not_a_password(monkeypatch):
    monkeypatch.setenv("PWD", "/home/someone/project")
    monkeypatch.setenv("OLDPWD", "/home/someone")
    text = "There is no file /home/someone/project/config.yaml"
    assert redacted(text) == text
