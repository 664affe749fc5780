"""A thin layer over nats-py: publish, read, consume, request. The only place that knows the client."""

from worksite.common.bus.connection import Bus
from worksite.common.bus.consumer import Delivery, consume
from worksite.common.bus.counters import add
from worksite.common.bus.envelope import Envelope
from worksite.common.bus.kv import Entry, KeyValue
from worksite.common.bus.provision import provision
from worksite.common.bus.rpc import Service, announce, answer, request
from worksite.common.bus.settings import BusSettings
from worksite.common.bus.stored import Stored, Tip
from worksite.common.bus.tls import BusTls
from worksite.common.bus.usage import Usage, created, usage

__all__ = [
    "Bus",
    "BusSettings",
    "BusTls",
    "Delivery",
    "Entry",
    "Envelope",
    "KeyValue",
    "Service",
    "Stored",
    "Tip",
    "Usage",
    "add",
    "announce",
    "answer",
    "consume",
    "created",
    "provision",
    "request",
    "usage",
]
