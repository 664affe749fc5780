"""Fixtures every test may use: a real nats-server, and a bus provisioned on it."""

pytest_plugins = ["worksite.common.testing.fixtures"]
