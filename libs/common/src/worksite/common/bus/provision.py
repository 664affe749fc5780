# nats-py is only partly typed.
# pyright: reportUnknownMemberType=false
"""Create what the subject table says. Only `worksite provision` calls this; services hold no STREAM.CREATE."""

from __future__ import annotations

import nats.errors
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError
from worksite.common import subjects
from worksite.common.bus.connection import Bus
from worksite.common.errors import BusUnavailable, Permanent

_DUPLICATE_WINDOW_SECONDS = 600.0
_PATIENCE = 6
"""Times the usual time-out: a stream that has just been given more replicas elects its first leader in about 11 s."""


async def provision(bus: Bus, disk_bytes: int, replicas: int = 1) -> None:
    """Idempotent: creates what is missing and updates what differs, within `disk_bytes` in all.

    What shrinks comes first: the server counts what streams reserve, and together they may take all that it has.
    Raises Permanent when the server refuses (not enough storage, too few servers for `replicas`), BusUnavailable, also
    while a cluster has no leader or misses a server.
    """
    js = bus.client.jetstream(timeout=_PATIENCE * bus.settings.timeout_seconds)
    configs = [
        *(_stream(spec, disk_bytes, replicas) for spec in subjects.STREAMS),
        *(_bucket(spec, disk_bytes) for spec in subjects.BUCKETS),
        *(_objects(spec, disk_bytes) for spec in subjects.OBJECT_STORES),
    ]
    try:
        for config in configs:
            config.num_replicas = replicas
        pairs = [(config, await _found(js, config)) for config in configs]
        for config, found in sorted(pairs, key=lambda pair: _growth(*pair)):
            await _ensure_stream(js, config, found)
        for consumer in subjects.CONSUMERS:
            await js.add_consumer(consumer.stream, _consumer(consumer))
    except APIError as error:
        raise _refusal(error) from error
    except (nats.errors.Error, TimeoutError) as error:
        raise BusUnavailable(f"no answer while provisioning: {error}") from error


def _refusal(error: APIError) -> BusUnavailable | Permanent:
    """A server that is only away for now comes as a refusal of the placement, as lacking storage does."""
    if isinstance(error, ServiceUnavailableError) or "peer offline" in (error.description or ""):
        return BusUnavailable(f"the cluster cannot say yet: {error.description}")
    return Permanent(f"the server refuses the streams: {error.description}")


async def _found(js: JetStreamContext, config: api.StreamConfig) -> api.StreamConfig | None:
    assert config.name
    try:
        return (await js.stream_info(config.name)).config
    except NotFoundError:
        return None


def _growth(config: api.StreamConfig, found: api.StreamConfig | None) -> int:
    return (config.max_bytes or 0) - ((found.max_bytes or 0) if found else 0)


async def _ensure_stream(js: JetStreamContext, config: api.StreamConfig, found: api.StreamConfig | None) -> None:
    if found is None:
        await js.add_stream(config)
    elif config.allow_msg_counter and found.persist_mode != config.persist_mode:  # which never changes
        assert config.name
        await js.delete_stream(config.name)  # counters are worth nothing a minute later; nothing else is ever deleted
        await js.add_stream(config)
    else:
        await js.update_stream(config)


def _stream(spec: subjects.StreamSpec, disk_bytes: int, replicas: int) -> api.StreamConfig:
    workqueue = spec.retention == "workqueue"
    return api.StreamConfig(
        name=spec.name,
        description=spec.description,
        subjects=list(spec.subjects),
        retention=api.RetentionPolicy.WORK_QUEUE if workqueue else api.RetentionPolicy.LIMITS,
        max_age=spec.max_age_seconds,
        max_bytes=int(disk_bytes * spec.disk_share),
        max_msgs_per_subject=spec.max_msgs_per_subject,
        discard=api.DiscardPolicy.NEW if spec.refuse_new else api.DiscardPolicy.OLD,
        discard_new_per_subject=spec.refuse_new and spec.max_msgs_per_subject > 0,
        duplicate_window=min(_DUPLICATE_WINDOW_SECONDS, spec.max_age_seconds),
        allow_direct=True,
        allow_msg_schedules=spec.schedules or None,
        allow_msg_counter=spec.counts or None,
        # Counters are worth nothing a minute later: no fsync. (In memory alone the stream would not survive a restart.)
        persist_mode=api.PersistMode.ASYNC if spec.counts and replicas == 1 else None,
        storage=api.StorageType.FILE,
    )


def _bucket(spec: subjects.BucketSpec, disk_bytes: int) -> api.StreamConfig:
    """A key-value bucket as ADR-8 lays it out. No limit markers: they break create() after expiry (ADR 0001)."""
    return api.StreamConfig(
        name=f"KV_{spec.name}",
        subjects=[f"$KV.{spec.name}.>"],
        max_age=spec.max_age_seconds,
        max_bytes=int(disk_bytes * spec.disk_share),
        max_msgs_per_subject=1,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=120,
        allow_rollup_hdrs=False,  # one message per key is kept anyway, and a roll-up could empty the whole bucket
        deny_delete=True,
        allow_direct=True,
        allow_msg_ttl=spec.per_key_ttl or None,
        storage=api.StorageType.FILE,
    )


def _objects(spec: subjects.BucketSpec, disk_bytes: int) -> api.StreamConfig:
    """An object store as ADR-20 lays it out."""
    return api.StreamConfig(
        name=f"OBJ_{spec.name}",
        subjects=[f"$O.{spec.name}.C.>", f"$O.{spec.name}.M.>"],
        max_age=spec.max_age_seconds,
        max_bytes=int(disk_bytes * spec.disk_share),
        discard=api.DiscardPolicy.NEW,
        allow_rollup_hdrs=True,
        allow_direct=True,
        storage=api.StorageType.FILE,
    )


def _consumer(spec: subjects.ConsumerSpec) -> api.ConsumerConfig:
    config = api.ConsumerConfig(
        durable_name=spec.service,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=subjects.ACK_WAIT_SECONDS,
        max_deliver=subjects.NO_LIMIT,
        max_ack_pending=subjects.NO_LIMIT,  # what is handed back stays pending: a limit would let one tenant stop all
    )
    if len(spec.filters) == 1:
        config.filter_subject = spec.filters[0]
    else:
        config.filter_subjects = list(spec.filters)
    return config
