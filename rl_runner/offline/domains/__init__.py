"""Domains: what a context, an action and an outcome are, for services and for their logs."""

from collections.abc import Callable

from rl_runner.errors import ConfigError, Problem, did_you_mean
from rl_runner.offline.domains.protocol import Domain
from rl_runner.offline.domains.recommender import RecommenderDomain

DOMAINS: dict[str, Callable[[], Domain]] = {RecommenderDomain.name: RecommenderDomain}


def find_domain(name: str, where: str) -> Domain:
    """Return a domain.

    :raises ConfigError: with the most similar name, if there is no such domain
    """
    if name not in DOMAINS:
        cure = did_you_mean(name, DOMAINS) or f"Domains: {', '.join(DOMAINS)}."
        raise ConfigError(Problem(f"There is no domain `{name}`.", where, cure))
    return DOMAINS[name]()
