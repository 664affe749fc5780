"""What docs/operations.md says about the NATS CLI: the commands are there, what they name exists, and what they ask of
the server is answered. The command itself is no package that we could install here."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest
import pytest_asyncio
from pydantic import SecretStr
from worksite.cli.stack import nats_config
from worksite.common.bus import Bus, BusSettings, announce, provision
from worksite.common.bus.envelope import Envelope
from worksite.common.subjects import BUCKETS, CONSUMERS, PERMISSIONS, SERVICES, STORES
from worksite.common.testing import examples
from worksite.common.testing.nats import NatsServer, start_nats

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:`|^    )(nats (?!-)[^`\n]+)", TEXT, re.M)))
# As of github.com/nats-io/natscli c778a5c: what is behind is the number of arguments.
KNOWN = {
    "stream ls": 0, "stream info": 1, "stream view": 1, "stream get": 1, "stream subjects": 1, "stream rmm": 2,
    "stream backup": 2, "stream restore": 1, "stream rm": 1, "consumer info": 2, "consumer report": 1, "micro ls": 0,
    "micro info": 1, "micro stats": 1, "kv get": 2, "server list": 0, "server ping": 0, "server info": 0,
    "server report jetstream": 0, "server report connections": 0, "server report accounts": 0,
    "server report health": 0,
}  # fmt: skip
FLAGS = {"--subject": {"stream view"}, "--last-for": {"stream get"}}
USERS = (*SERVICES, "provision", nats_config.MONITOR)
PASSWORDS = {user: f"password-of-{user}" for user in USERS}


def parsed(line: str) -> tuple[str, list[str], dict[str, str]]:
    """The command, its arguments, its flags with their values."""
    flags = {name: value.strip('"') for name, value in re.findall(r'(--[a-z-]+) ("[^"]*"|\S+)', line)}
    words = re.sub(r'--[a-z-]+ ("[^"]*"|\S+)', "", line).split()[1:]
    name = " ".join(words[:3] if words[:2] == ["server", "report"] else words[:2])
    return name, words[len(name.split()) :], flags


def alike(pattern: str, subject: str) -> bool:
    """Can both mean one subject? Placeholders in the document stand for one token."""
    a, b = pattern.split("."), ["*" if part.startswith("<") else part for part in subject.split(".")]
    for one, other in zip(a, b, strict=False):
        if ">" in (one, other):
            return True
        if one != other and "*" not in (one, other):
            return False
    return len(a) == len(b)


def test_the_commands_were_found():
    assert {parsed(line)[0] for line in COMMANDS} == set(KNOWN)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_has_the_arguments_and_flags_that_it_takes(line):
    name, arguments, flags = parsed(line)
    assert len(arguments) == KNOWN[name]
    assert all(name in FLAGS[flag] for flag in flags)


@pytest.mark.parametrize("line", COMMANDS)
def test_what_a_command_names_exists(line):
    name, arguments, flags = parsed(line)
    if name.startswith("stream") and arguments and name != "stream restore":
        assert arguments[0] in STORES
    if name.startswith("consumer"):
        assert arguments[0] in {each.stream for each in CONSUMERS}
        assert len(arguments) == 1 or (arguments[0], arguments[1]) in {
            (each.stream, each.service) for each in CONSUMERS
        }
    if name.startswith("micro"):
        assert not arguments or arguments[0] in SERVICES
    if name == "kv get":
        key = f"$KV.{arguments[0]}.{arguments[1]}"
        assert arguments[0] in {bucket.name for bucket in BUCKETS}
        assert any(alike(subject, key) for granted in PERMISSIONS.values() for subject in granted.publish)
    for subject in flags.values():
        if subject != "<subject>":
            assert any(alike(each, subject) for granted in PERMISSIONS.values() for each in granted.publish)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with start_nats(tmp_path, nats_config.authorization(PASSWORDS, "provision")) as running:
        yield running


@pytest_asyncio.fixture
async def connect(server: NatsServer) -> AsyncIterator:
    """Plain clients, as the command is one."""
    opened = []

    async def as_user(user: str):
        opened.append(await nats.connect(server.url, user=user, password=PASSWORDS[user]))
        return opened[-1]

    admin = await Bus.connect(BusSettings(server.url, "provision", "provision", SecretStr(PASSWORDS["provision"])))
    await provision(admin, 1 << 30)
    for number, kind in enumerate(("result", "progress")):
        envelope = Envelope(examples.submit_task().ce_type(), "admin", "acme", "t")
        await admin.publish(f"ws.v1.event.acme.t.admin.task.{kind}", examples.submit_task(), envelope)
        await admin.publish_raw(f"$KV.ledger.builder.t.{number}-build", b"{}", {})
    await admin.close()
    yield as_user
    for client in opened:
        await client.close()


async def asked(client, subject: str, **question: object):
    answer = json.loads((await client.request(subject, json.dumps(question).encode(), timeout=20)).data)
    assert "error" not in answer, (subject, answer)
    return answer


@pytest.mark.asyncio
async def test_the_requests_behind_the_commands_of_the_provisioner_are_answered(connect, server):
    client = await connect("provision")
    rag = await Bus.connect(BusSettings(server.url, "rag", "rag", SecretStr(PASSWORDS["rag"])))
    micro = await announce(rag, "rag", "0.1.0")
    try:
        assert (await asked(client, "$JS.API.STREAM.LIST"))["total"] == len(STORES)
        assert (await asked(client, "$JS.API.STREAM.INFO.EVENTS", subjects_filter=">"))["state"]["subjects"]
        assert (await asked(client, "$JS.API.CONSUMER.INFO.WORK.builder"))["num_pending"] == 0
        assert (await asked(client, "$JS.API.CONSUMER.LIST.WORK"))["total"] == 4
        last = await asked(client, "$JS.API.STREAM.MSG.GET.EVENTS", last_by_subj="ws.v1.event.acme.t.admin.task.result")
        assert last["message"]["seq"] == 1
        assert (await asked(client, "$JS.API.STREAM.MSG.DELETE.EVENTS", seq=2))["success"]
        for verb in ("PING", "INFO.rag", "STATS.rag"):
            assert (await asked(client, f"$SRV.{verb}"))["name"] == "rag"
        assert (await client.request("$JS.API.DIRECT.GET.KV_ledger.$KV.ledger.builder.t.0-build", b"")).data == b"{}"
    finally:
        await micro.stop()
        await rag.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["VARZ", "JSZ", "CONNZ", "ACCOUNTZ", "HEALTHZ"])
async def test_the_requests_behind_the_commands_of_the_monitor_are_answered(connect, what):
    client = await connect("monitor")
    assert (await asked(client, "$SYS.REQ.SERVER.PING"))["server"]["id"]
    told = await asked(client, f"$SYS.REQ.SERVER.PING.{what}")
    assert told["data"]
    server = told["server"]["id"]
    assert (await asked(client, f"$SYS.REQ.SERVER.{server}.{what}"))["data"]


@pytest.mark.asyncio
async def test_a_stream_that_was_backed_up_comes_back_with_its_messages_and_consumers(connect):
    """By the two requests that `nats stream backup` and `nats stream restore` make."""
    client = await connect("provision")
    before, chunks = await backup(client, "EVENTS")
    await asked(client, "$JS.API.STREAM.DELETE.EVENTS")
    after = await restored(client, "EVENTS", before, chunks)
    assert after["state"]["messages"] == before["state"]["messages"] == 2
    assert (await asked(client, "$JS.API.CONSUMER.LIST.EVENTS"))["total"] == 1


async def backup(client, stream: str):
    inbox, received = client.new_inbox(), asyncio.Queue()
    await client.subscribe(inbox, cb=received.put)
    described = await asked(client, f"$JS.API.STREAM.SNAPSHOT.{stream}", deliver_subject=inbox, chunk_size=64 * 1024)
    chunks = []
    async with asyncio.timeout(30):
        while (chunk := await received.get()).data:
            chunks.append(chunk.data)
            if chunk.reply:
                await chunk.respond(b"")
    return described, chunks


async def restored(client, stream: str, described, chunks):
    place = await asked(
        client, f"$JS.API.STREAM.RESTORE.{stream}", config=described["config"], state=described["state"]
    )
    for chunk in chunks:
        await client.request(place["deliver_subject"], chunk, timeout=20)
    return json.loads((await client.request(place["deliver_subject"], b"", timeout=20)).data)
