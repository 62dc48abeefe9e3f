"""Secrets left out of every text that is kept or shown.

A database's password comes with ``--storage``, an access token with a URL, a script's key with an
option. Command lines are written to run.json and reports, and exceptions repeat URLs. Two functions
hide what is secret in them: :func:`redacted` in any text, :func:`redacted_arguments` in a command.

A config is not redacted: a run is repeated from its config.yaml, which must be complete.
"""

import os
import re
from collections.abc import Iterable, Sequence

HIDDEN = "***"
SHORTEST_VALUE = 6  # characters of an environment variable's value; shorter ones are in every text
WORKING_DIRECTORIES = {"PWD", "OLDPWD"}  # variables of the shell, and not passwords

# Lengths are limited, so that long texts take linear time.

# A name whose last word says that the value is secret: `password`, `DB_PASSWORD`, `kwargs.apiKey`.
_NAME = (
    r"[\w.\-]{0,60}(?:password|passwd|pwd|passphrase|passcode|secret|token|credentials?|signature"
    r"|api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|private[_-]?key|account[_-]?key)"
)
_SECRET_NAME = re.compile(rf"-*{_NAME}", re.IGNORECASE)

# user:password@host, and token@host in web addresses. A password may contain any character; the
# last `@` ends it.
_WEB = re.compile(r"((?:\w{1,20}\+)?(?:https?|wss?|ftps?)://)[^\s/'\"@]+@", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(
    r"([A-Za-z][\w+.\-]{0,30}:?/{1,2}[^\s:/@'\"]{0,200}:)[^\s'\"]{1,1000}@"
)
_ANY_PASSWORD = re.compile(r"^([^:@]*(?::/{1,2}|//)?[^\s:/@]*:)(?!//).+@", re.DOTALL)

# name=value, in queries and in the text of objects; 'name': 'value', in dicts and JSON.
_QUOTED = r"'[^']*'|\"[^\"]*\""
_ASSIGNED = re.compile(rf"({_NAME}\s?=\s?)(?:{_QUOTED}|[^\s&;,)'\"]+)", re.IGNORECASE)
_IN_A_DICT = re.compile(rf"(['\"]{_NAME}['\"]\s*:\s*)(?:{_QUOTED})", re.IGNORECASE)

_IN_YAML = re.compile(
    rf"((?:^|[{{,\s]){_NAME}:[ ]+)[^\s,}}][^\n,}}]*", re.IGNORECASE | re.MULTILINE
)

# What is a secret by its form alone: authorization headers, tokens of well-known services.
_AUTHORIZATION = re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=\-]{8,}", re.IGNORECASE)
_KNOWN_TOKENS = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[abprs]-|AKIA)[\w\-]{12,}"
)


def redacted(text: str) -> str:
    """Return a text with its passwords, tokens and keys replaced by ``***``.

    Hidden are: passwords in URLs, values of names such as ``password`` and ``api_key``, tokens of
    well-known services, and values of environment variables with such names.
    """
    for value in _secrets_of_the_environment():
        text = text.replace(value, HIDDEN)
    text = _WEB.sub(rf"\1{HIDDEN}@", text)
    text = _USER_AND_PASSWORD.sub(rf"\1{HIDDEN}@", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    text = _IN_A_DICT.sub(rf"\1'{HIDDEN}'", text)
    text = _AUTHORIZATION.sub(rf"\1\2{HIDDEN}", text)
    return _KNOWN_TOKENS.sub(HIDDEN, text)


def redacted_url(url: str) -> str:
    """Return a URL, or what was meant to be one, with its password and its secrets hidden."""
    return redacted(_ANY_PASSWORD.sub(rf"\1{HIDDEN}@", url))


def redacted_yaml(text: str) -> str:
    """Return a config's text with its secrets hidden, for pages that others may read."""
    return redacted(_IN_YAML.sub(rf"\1'{HIDDEN}'", text))


def redacted_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command's words with the secrets in them hidden.

    A word that follows an option such as ``--api-key`` is hidden as well.
    """
    shown, option = [], ""
    for word in arguments:
        is_secret = option.startswith("-") and _SECRET_NAME.fullmatch(option) is not None
        shown.append(HIDDEN if is_secret and not word.startswith("-") else _redacted_word(word))
        option = word
    return shown


def _redacted_word(word: str) -> str:
    """Return a word; unlike a text, it is one URL or one assignment, also if it has spaces."""
    name, equals, value = word.partition("=")
    if equals and _SECRET_NAME.fullmatch(name):
        return f"{name}={HIDDEN}"
    if equals and name.startswith("-"):
        return f"{name}={redacted_url(value)}"
    return redacted_url(word)


def _secrets_of_the_environment() -> Iterable[str]:
    values = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST_VALUE
        and _SECRET_NAME.fullmatch(name)
        and name not in WORKING_DIRECTORIES
    }
    return sorted(values, key=len, reverse=True)  # one may be part of another
