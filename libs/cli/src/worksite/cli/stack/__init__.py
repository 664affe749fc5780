"""The embedded profile: nats-server and the six services as supervised processes on this machine."""
