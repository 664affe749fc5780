"""TLS to a real nats-server: who is trusted, and what is said, in one line, where nobody is."""

import asyncio
import json

import pytest
from pydantic import SecretStr
from worksite.common.bus import Bus, BusSettings, BusTls
from worksite.common.errors import BusUnavailable, Permanent
from worksite.common.settings import ServiceSettings, SettingsError, load
from worksite.common.testing.certificates import Authority
from worksite.common.testing.nats import start_nats

PASSWORD = "not-for-everybody"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


def config(pem, **more):
    tls = {"cert_file": str(pem.certificate), "key_file": str(pem.key), **more}
    users = {"users": [{"user": "rag", "password": PASSWORD}]}
    return f"tls: {json.dumps(tls)}\nauthorization: {json.dumps(users)}\n"


def settings(server, tls=None, scheme="tls"):
    url = server.url.replace("nats://", f"{scheme}://")
    return BusSettings(url, "rag", "rag", SecretStr(PASSWORD), tls=tls or BusTls())


async def refusal(server, tls=None, error=Permanent):
    """The one line that a person gets to see."""
    with pytest.raises(error) as refused:
        await Bus.connect(settings(server, tls))
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    return str(refused.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_a_server_of_the_named_authority_is_talked_to_in_tls_whatever_the_address_says(
    tmp_path, authority, scheme
):
    with start_nats(tmp_path, config(authority.issue("server"))) as server:
        bus = await Bus.connect(settings(server, BusTls(authority.certificate), scheme))
        try:
            (connection,) = (await asyncio.to_thread(server.monitored, "connz"))["connections"]
        finally:
            await bus.close()
    assert connection["tls_version"] == "1.3"


@pytest.mark.asyncio
async def test_another_authoritys_server_is_not_trusted(tmp_path, authority):
    with start_nats(tmp_path, config(authority.issue("server"))) as server:
        other = Authority(tmp_path, "other")
        assert "not trusted: unable to get local issuer" in await refusal(server, BusTls(other.certificate))
        assert "not trusted: unable to get local issuer" in await refusal(server)


@pytest.mark.asyncio
async def test_a_certificate_that_has_ended_or_is_for_another_address_is_not_trusted(tmp_path, authority):
    wrong = {"ended": {"days": -1}, "elsewhere": {"address": "192.0.2.1"}}
    said = {}
    for name, fault in wrong.items():
        (tmp_path / "at").mkdir(exist_ok=True)
        with start_nats(tmp_path / "at", config(authority.issue(name, **fault))) as server:
            said[name] = await refusal(server, BusTls(authority.certificate))
    assert "certificate has expired" in said["ended"]
    assert "127.0.0.1" in said["elsewhere"]
    assert "mismatch" in said["elsewhere"]


@pytest.mark.asyncio
async def test_a_server_without_tls_is_not_told_the_password(authority):
    heard = bytearray()

    async def plain(reader, writer):
        """As NATS without TLS, or somebody in between who wants the password."""
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576,"auth_required":true}\r\n')
        heard.extend(await reader.read())
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        tls = BusTls(authority.certificate)
        with pytest.raises(Permanent, match="offers no TLS"):
            await Bus.connect(BusSettings(f"tls://127.0.0.1:{port}", "rag", "rag", SecretStr(PASSWORD), tls=tls))
    assert bytes(heard) == b""


@pytest.mark.asyncio
async def test_a_server_that_wants_certificates_lets_in_who_has_one_and_tells_the_others(tmp_path, authority):
    mutual = config(authority.issue("server"), ca_file=str(authority.certificate), verify=True)
    mine, foreign = authority.issue("rag"), Authority(tmp_path, "other").issue("stranger")
    with start_nats(tmp_path, mutual) as server:
        bus = await Bus.connect(settings(server, BusTls(authority.certificate, mine.certificate, mine.key)))
        try:
            assert await bus.answers(20)
        finally:
            await bus.close()
        assert "refuses our certificate (NATS_TLS_CERT)" in await refusal(server, BusTls(authority.certificate))
        stranger = BusTls(authority.certificate, foreign.certificate, foreign.key)
        assert "refuses our certificate (NATS_TLS_CERT)" in await refusal(server, stranger)


@pytest.mark.asyncio
async def test_a_connection_comes_back_with_certificates_that_were_renewed_meanwhile(tmp_path, authority):
    with start_nats(tmp_path, config(authority.issue("server"))) as server:
        bus = await Bus.connect(settings(server, BusTls(authority.certificate)))
        try:
            server.kill()
            renewed = Authority(tmp_path, "authority")  # in the same files
            server.config = config(renewed.issue("server"))
            server.start()
            async with asyncio.timeout(60):
                while not await bus.answers(1):
                    await asyncio.sleep(0.05)
        finally:
            await bus.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", ["absent", "no certificate"])
async def test_files_that_are_no_certificates_are_named_before_anybody_is_asked(tmp_path, authority, wrong):
    file = tmp_path / "file.pem"
    if wrong != "absent":
        file.write_text(wrong)
    nowhere = "tls://127.0.0.1:1"
    with pytest.raises(Permanent, match=r"NATS_TLS_CA: .*file\.pem"):
        await Bus.connect(BusSettings(nowhere, "rag", tls=BusTls(file)))
    mine = authority.issue("rag")
    for pair in ((file, mine.key), (mine.certificate, file), (mine.certificate, authority.issue("b").key)):
        with pytest.raises(Permanent, match=r"NATS_TLS_CERT, NATS_TLS_KEY: .* cannot be used"):
            await Bus.connect(BusSettings(nowhere, "rag", tls=BusTls(authority.certificate, *pair)))


@pytest.mark.asyncio
async def test_a_server_that_is_away_is_still_worth_another_try(authority):
    with pytest.raises(BusUnavailable):
        await Bus.connect(BusSettings("tls://127.0.0.1:1", "rag", tls=BusTls(authority.certificate)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"NATS_TLS_CA": "/ca.pem"}, "tls://"),
        ({"NATS_TLS_CA": "/ca.pem", "NATS_URL": "tls://a:4222,nats://b:4222"}, "tls://"),
        ({"NATS_TLS_CERT": "/a.pem", "NATS_URL": "tls://a:4222"}, "NATS_TLS_CERT and NATS_TLS_KEY"),
        ({"NATS_TLS_KEY": "/a.key", "NATS_URL": "tls://a:4222"}, "NATS_TLS_CERT and NATS_TLS_KEY"),
    ],
)
def test_half_a_setting_of_tls_is_refused(monkeypatch, given, said):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load(ServiceSettings)


def test_the_settings_reach_the_bus(monkeypatch):
    given = {"NATS_URL": "tls://a:4222", "NATS_TLS_CA": "ca", "NATS_TLS_CERT": "cert", "NATS_TLS_KEY": "key"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    tls = load(ServiceSettings).bus("rag").tls
    assert [str(path) for path in (tls.authority, tls.certificate, tls.key)] == ["ca", "cert", "key"]
