"""Every user of the bus against every subject that there is: its own, and nothing else, by the real server."""

import json

import nats
import pytest
import pytest_asyncio
from pydantic import SecretStr
from worksite.cli.stack import nats_config
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.subjects import CONSUMERS, PERMISSIONS, SERVICES, STORES, inbox_prefix
from worksite.common.testing.nats import start_nats
from worksite.common.testing.raw_nats import raw_client

USERS = (*SERVICES, "provision", nats_config.MONITOR)
PASSWORDS = {user: f"password-of-{user}" for user in USERS}

OF_A_STREAM = (
    "STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.INFO", "STREAM.MSG.GET",
    "STREAM.MSG.DELETE", "STREAM.SNAPSHOT", "STREAM.RESTORE", "STREAM.PEER.REMOVE", "STREAM.LEADER.STEPDOWN",
    "DIRECT.GET", "CONSUMER.CREATE", "CONSUMER.NAMES", "CONSUMER.LIST",
)  # fmt: skip
OF_A_CONSUMER = (
    "CONSUMER.MSG.NEXT", "CONSUMER.INFO", "CONSUMER.DELETE", "CONSUMER.DURABLE.CREATE", "CONSUMER.CREATE",
    "CONSUMER.PAUSE", "CONSUMER.RESET", "CONSUMER.UNPIN", "CONSUMER.LEADER.STEPDOWN",
)  # fmt: skip
OF_THE_WHOLE = ("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.META.LEADER.STEPDOWN")
OF_THE_SERVER = (
    "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.ACCOUNT.$G.CONNZ", "$SYS.REQ.USER.INFO", "$SYS.REQ.SERVER.x.RELOAD", "$SYS.REQ.SERVER.x.KICK",
    "$SYS.REQ.SERVER.x.LDM", "$SYS.REQ.SERVER.PING.PROFILEZ", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.ACCOUNT.$G.CONNECT",
)  # fmt: skip
GREEDY = (">", "*", "*.>", "ws.>", "ws.v1.>", "ws.v1.event.>", "$JS.>", "$KV.>", "$O.>", "$SYS.>", "_INBOX.>", "_R_.>")


def matches(pattern: str, subject: str) -> bool:
    """Does the pattern cover the subject, by NATS's rules? A subject may have wildcards of its own."""
    wanted, given = pattern.split("."), subject.split(".")
    for number, token in enumerate(wanted):
        if token == ">":
            return len(given) > number
        if number >= len(given) or (token != given[number] and (token != "*" or given[number] == ">")):
            return False
    return len(wanted) == len(given)


def instances(pattern: str) -> set[str]:
    """Subjects that a pattern stands for; with the name of each service in the place of a name."""
    plain = pattern.replace("*", "x").replace(">", "x.y")
    return {plain, *(plain.replace(f".{a}.", f".{b}.") for a in SERVICES for b in SERVICES)}


GRANTED = {pattern for granted in PERMISSIONS.values() for pattern in (*granted.publish, *granted.subscribe)}
STREAM_CALLS = {f"$JS.API.{call}.{store}" for call in OF_A_STREAM for store in STORES}
CONSUMER_CALLS = {f"$JS.API.{call}.{each.stream}.{each.service}" for call in OF_A_CONSUMER for each in CONSUMERS}
ACKS = {f"$JS.ACK.{each.stream}.{each.service}.1.2.3.4.5" for each in CONSUMERS}
INBOXES = {f"{inbox_prefix(user)}.abc.def" for user in SERVICES} | {"_INBOX.abc.def", "_INBOX_provision.abc"}
SUBJECTS = sorted(
    {subject for pattern in GRANTED for subject in instances(pattern)}
    | STREAM_CALLS
    | CONSUMER_CALLS
    | ACKS
    | INBOXES
    | {*OF_THE_WHOLE, *OF_THE_SERVER, "ws.v1.timer.due.x.deadline", "$JS.EVENT.ADVISORY.X", "$SRV.PING", "other"}
)
LISTENED = sorted({*SUBJECTS, *GRANTED, *GREEDY})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    config = nats_config.authorization(PASSWORDS, "provision")
    with start_nats(tmp_path_factory.mktemp("nats"), config) as running:
        yield running


def foreign(patterns, subjects):
    return {subject for subject in subjects if not any(matches(pattern, subject) for pattern in patterns)}


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_publishes_what_the_table_grants_it_and_nothing_foreign(server, service):
    async with raw_client(server.port, service, PASSWORDS[service]) as client:
        refused = await client.refused("publish", SUBJECTS)
    expected = foreign(PERMISSIONS[service].publish, SUBJECTS)
    assert refused == expected
    assert len(expected) > len(SUBJECTS) / 2


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_hears_what_the_table_grants_it_and_nothing_foreign(server, service):
    async with raw_client(server.port, service, PASSWORDS[service]) as client:
        refused = await client.refused("subscribe", LISTENED)
    assert refused == foreign(PERMISSIONS[service].subscribe, LISTENED)


@pytest.mark.parametrize("service", SERVICES)
def test_no_row_of_the_table_reaches_into_what_is_anothers(service):
    """Said once more without the table: a row that grants too much would pass the matrix."""
    granted = PERMISSIONS[service]
    others = set(SERVICES) - {service}
    mine = {f"{each.stream}.{each.service}" for each in CONSUMERS if each.service == service}
    consumers = {subject for subject in CONSUMER_CALLS | ACKS if not any(f".{own}" in subject for own in mine)}
    inboxes = INBOXES - {f"{inbox_prefix(service)}.abc.def"}
    voices = {f"ws.v1.event.t.k.{other}.1-x.result" for other in others} | {f"ws.v1.dead.{o}.t" for o in others}
    journals = {f"ws.v1.journal.t.k.{other}.1-x.0" for other in others}
    untouchable = consumers | inboxes | voices | journals | {*OF_THE_WHOLE, *OF_THE_SERVER}
    assert untouchable - foreign(granted.publish, untouchable) == set()
    silent = inboxes | {f"ws.v1.rpc.{other}.x" for other in others} | consumers | {*OF_THE_SERVER, *GREEDY}
    heard = silent - foreign(granted.subscribe, silent)
    assert heard == ({"ws.v1.event.>"} if service == "gateway" else set())


MONITORS = {
    "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.ACCOUNT.$G.CONNZ",
}  # fmt: skip


@pytest.mark.asyncio
async def test_the_monitor_may_ask_what_servers_tell_and_nothing_else(server):
    async with raw_client(server.port, "monitor", PASSWORDS["monitor"]) as client:
        assert set(SUBJECTS) - await client.refused("publish", SUBJECTS) == MONITORS
        heard = set(LISTENED) - await client.refused("subscribe", LISTENED)
    assert heard == {"_INBOX.>", "_INBOX.abc.def", "$SYS.ACCOUNT.$G.CONNECT"}


@pytest_asyncio.fixture
async def monitor(server):
    client = await nats.connect(server.url, user="monitor", password=PASSWORDS["monitor"], allow_reconnect=False)
    yield client
    await client.close()


@pytest.mark.asyncio
async def test_the_monitor_sees_servers_streams_and_consumers_and_no_message(server, monitor):
    bus = await Bus.connect(BusSettings(server.url, "provision", "provision", SecretStr(PASSWORDS["provision"])))
    try:
        await provision(bus, 1 << 30)
        heard = []

        async def hear(message):
            heard.append(message)

        await monitor.subscribe("_INBOX.>", cb=hear)
        await bus.client.publish("_INBOX.of-the-other-account", b"secret")
        await bus.client.flush()
        told = await monitor.request("$SYS.REQ.SERVER.PING.JSZ", b'{"streams": true, "consumer": true}', timeout=20)
        (account,) = json.loads(told.data)["data"]["account_details"]
        streams = {stream["name"]: stream for stream in account["stream_detail"]}
        assert account["name"] == "$G"  # where streams were before there was another account
        assert streams.keys() == set(STORES)
        assert {each["name"] for each in streams["EVENTS"]["consumer_detail"]} == {"admin"}
        running = await monitor.request("$SYS.REQ.SERVER.PING.VARZ", b"", timeout=20)
        assert json.loads(running.data)["data"]["jetstream"]
        assert [message.data for message in heard if b"secret" in message.data] == []
    finally:
        await bus.close()


@pytest.mark.asyncio
async def test_streams_of_before_there_was_a_monitor_are_still_there(tmp_path):
    before = {user: password for user, password in PASSWORDS.items() if user != nats_config.MONITOR}
    who = SecretStr(PASSWORDS["provision"])
    with start_nats(tmp_path, nats_config.authorization(before, "provision")) as running:
        bus = await Bus.connect(BusSettings(running.url, "provision", "provision", who))
        try:
            await provision(bus, 1 << 30)
            await bus.publish_raw("ws.v1.task.acme", b"{}", {})
        finally:
            await bus.close()
        running.kill()
        running.config = nats_config.authorization(PASSWORDS, "provision")
        running.start()
        bus = await Bus.connect(BusSettings(running.url, "provision", "provision", who))
        try:
            assert (await bus.jetstream.stream_info("TASKS")).state.messages == 1
        finally:
            await bus.close()
