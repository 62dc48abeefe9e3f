"""Starting and stopping a service's server."""

import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rl_runner.errors import ConfigError, Problem
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.keys import SCOPES, Keys, add_key, load_keys
from rl_runner.serving.service import Service

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what an orchestrator sends
FIRST_KEY = "first"  # the name of the key that is made at the first start
DRAIN_SECONDS = 20  # for requests that are being answered when the server is stopped
COLLECTION = (
    20_000,
    20,
    50,
)  # requests leave no cycles; by default 10 % of their time is for these
CONNECTIONS = 1_000  # at a time; more are answered with 503


@dataclass(frozen=True)
class Started:
    """What can be said of a server that is about to accept requests."""

    url: str
    service: Service
    new_key: str | None  # made because there was none; shown once


def check_installed() -> None:
    """Refuse to serve without the extra.

    :raises ConfigError: naming what to install
    """
    try:
        import fastapi  # noqa: F401 - only whether it is installed
        import prometheus_client  # noqa: F401 - as above
        import uvicorn  # noqa: F401 - as above
    except ImportError as error:
        cure = "Install it: `pip install 'rl-runner[serve]'`."
        what = f"`rl serve` needs the package {error.name}."
        raise ConfigError(Problem(what, "", cure)) from None


def run_server(config: ServeConfig, announce: Callable[[Started], None]) -> None:
    """Serve until SIGINT or SIGTERM; then answer what has arrived, store it, and return.

    :param announce: called when the port is bound, before the first request
    :raises RunnerError: if the config, the store, the champion or the port is at fault
    """
    check_installed()
    import uvicorn

    from rl_runner.serving.api.app import build_app

    class Server(uvicorn.Server):
        """A server that ends like any function: uvicorn's would kill itself by the signal again."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {each: signal.signal(each, self.handle_exit) for each in SIGNALS}
            try:
                yield
            finally:
                for each, handler in before.items():
                    signal.signal(each, handler)

    # Take the port, and load the champion, before anything is announced.
    load_keys(config.keys_file)  # refused before anything is opened
    with _bound(config) as bound, contextlib.closing(Service.open(config)) as service:
        # The first start makes a key; not before now, because it is shown only once.
        keys, new_key = _keys(config)
        host, port = bound.getsockname()[:2]
        app, protocol = build_app(service, keys)
        # Keep the pauses of garbage collections short.
        gc.collect()
        gc.freeze()  # what is loaded now stays: a collection after a swap need not look through it
        gc.set_threshold(*COLLECTION)
        # Answer requests until a signal arrives, then those that wait.
        announce(Started(f"http://{host}:{port}", service, new_key))
        settings = uvicorn.Config(
            app,
            http=protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # a proxy adds it where it is needed
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            lifespan="on",
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        Server(settings).run(sockets=[bound])


def _keys(config: ServeConfig) -> tuple[Keys, str | None]:
    """Return the keys; the first start makes one."""
    keys = load_keys(config.keys_file)
    if keys.keys:
        return keys, None
    token = add_key(config.keys_file, FIRST_KEY, SCOPES)
    return load_keys(config.keys_file), token


@contextlib.contextmanager
def _bound(config: ServeConfig) -> Iterator[socket.socket]:
    """Bind the port before anything is loaded or written.

    :raises ConfigError: if it is taken, or the host is not one of this machine
    """
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        bound = socket.create_server((config.host, config.port), family=family, backlog=512)
    except OSError as error:
        what = f"The server cannot listen on {config.host}:{config.port}: {error.strerror}."
        cure = "Choose another one: `rl serve CONFIG --port 8001`; 0 takes a free one."
        raise ConfigError(Problem(what, "port", cure)) from None
    with bound:
        yield bound
