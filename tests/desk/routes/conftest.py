"""The server's fixtures."""

from tests.server.conftest import _hasty_servers, certified_bundle, error, model, no_waiting, serve, upstream, word_model  # noqa: F401
