"""The test kit: a real nats-server per test, fakes where no server is needed."""

from worksite.common.testing.nats import NatsCluster, NatsServer, start_cluster, start_nats

__all__ = ["NatsCluster", "NatsServer", "start_cluster", "start_nats"]
