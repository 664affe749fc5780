"""The test kit: a real nats-server per test, fakes where no server is needed."""

from worksite.common.testing.nats import NatsServer, start_nats

__all__ = ["NatsServer", "start_nats"]
