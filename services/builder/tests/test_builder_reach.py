"""Whom a client can make the builder talk to, and what of the answer the client gets to see."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from worksite.builder.domain.redaction import MAX_CHARACTERS
from worksite.builder.domain.routes import pinned
from worksite.builder.domain.urls import Host
from worksite.builder.git import Git
from worksite.builder.lookup import addresses_of
from worksite.builder.remote import Limits, Remote
from worksite.builder.repository import Repository
from worksite.builder.testing import Desk, Origin, answering, run_git, served
from worksite.common.errors import StepRefused

pytestmark = pytest.mark.asyncio
STRICT = Limits(
    max_bytes=1 << 20, max_upload_bytes=1 << 20, timeout_seconds=30, allow_file_urls=False, allow_private_hosts=False
)
SECRET = "INTERNAL-SECRET-BODY"


async def test_a_redirect_is_not_followed(desk: Desk) -> None:
    with answering(403) as (inside, asked), answering(302, location=inside) as (outside, _):
        with pytest.raises(StepRefused, match="redirects") as refused:
            await desk.import_git(f"{outside}/project.git")

    assert refused.value.code == "url_refused"
    assert asked == []


async def test_a_repository_cannot_send_us_to_another_host_for_its_objects(
    desk: Desk, origin: Origin, tmp_path: Path
) -> None:
    origin.commit(a__txt="one")
    web = tmp_path / "web" / "project.git"
    run_git(tmp_path, "clone", "--quiet", "--bare", origin.url, str(web))
    run_git(web, "update-server-info")
    shutil.rmtree(web / "objects" / "pack")
    for folder in (web / "objects").glob("??"):
        shutil.rmtree(folder)

    with answering(404) as (inside, asked), served(tmp_path / "web") as outside:
        (web / "objects" / "info" / "http-alternates").write_text(f"{inside}/secret.git/objects\n")
        with pytest.raises(StepRefused):
            await desk.import_git(f"{outside}/project.git")

    assert asked == []


@pytest.mark.parametrize("status", [403, 404, 418])
async def test_what_a_server_answers_goes_to_the_log_and_not_to_the_client(
    desk: Desk, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(status, body=f"{SECRET}\n" * 1000) as (address, _), pytest.raises(StepRefused) as refused:
        await desk.import_git(f"{address}/project.git")

    assert SECRET not in refused.value.detail
    assert address.removeprefix("http://") not in refused.value.detail
    (line,) = caplog.messages
    assert SECRET in line
    assert len(line) < MAX_CHARACTERS + 50


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "0", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001",
        "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]",
    ],
)  # fmt: skip
async def test_a_private_host_is_refused_before_anybody_talks_to_it(desk: Desk, host: str) -> None:
    desk.options["allow_private_hosts"] = False

    with answering(403) as (address, asked), pytest.raises(StepRefused, match="public internet") as refused:
        await desk.import_git(f"{address.replace('127.0.0.1', host)}/project.git")

    assert refused.value.code == "url_refused"
    assert asked == []


async def test_private_hosts_are_refused_unless_the_setting_says_otherwise(desk: Desk) -> None:
    assert type(desk.settings).model_fields["allow_private_hosts"].default is False


async def test_a_name_with_one_private_address_is_refused_before_git_runs(tmp_path: Path) -> None:
    git = _Recorded(tmp_path)
    remote = Remote("https://git.example/x.git", STRICT, _answer("8.8.8.8", "169.254.169.254"))

    with pytest.raises(StepRefused, match="public internet"):
        await remote.refs(Repository(git))

    assert git.calls == []


async def test_git_is_pinned_to_the_addresses_that_were_checked(tmp_path: Path) -> None:
    """A name server that answers differently the second time has no second time."""
    git = _Recorded(tmp_path)
    remote = Remote("https://git.example/x.git", STRICT, _answer("8.8.8.8", "2606:4700::1"))

    await remote.refs(Repository(git))

    assert [env["GIT_CONFIG_VALUE_0"] for env in git.calls] == ["git.example:443:8.8.8.8,[2606:4700::1]"]


async def test_a_name_that_means_nothing_is_unreachable() -> None:
    for name in ("a..b", "x" * 64 + ".invalid"):  # refused before a name server is asked
        with pytest.raises(StepRefused) as refused:
            await addresses_of(Host(name, 443))
        assert refused.value.code == "repository_unreachable"


async def test_curl_takes_the_pin_instead_of_a_name_server(origin: Origin, tmp_path: Path) -> None:
    """The name cannot be looked up by anybody (RFC 6761)."""
    head = origin.commit(a__txt="one")
    run_git(tmp_path, "clone", "--quiet", "--bare", origin.url, str(tmp_path / "web" / "project.git"))
    run_git(tmp_path / "web" / "project.git", "update-server-info")
    repository = await Repository.create(tmp_path / "r.git")

    with served(tmp_path / "web") as address:
        port = int(address.rpartition(":")[2])
        route = pinned(f"http://git.invalid:{port}/project.git", Host("git.invalid", port), ["127.0.0.1"])
        listing = await repository.git("ls-remote", "--", route.url, env=route.env, protocols="http")

    assert head.encode() in listing


async def test_a_git_server_is_asked_under_its_name_at_the_address(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readexactly(int(await reader.readexactly(4), 16) - 4))
        writer.write(b"0000")  # no refs
        writer.close()

    repository = await Repository.create(tmp_path / "r.git")
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        route = pinned(f"git://git.invalid:{port}/project.git", Host("git.invalid", port), ["127.0.0.1"])
        await repository.git("ls-remote", "--", route.url, env=route.env, protocols="git")

    assert asked[0].split(b"\0")[:2] == [b"git-upload-pack /project.git", f"host=git.invalid:{port}".encode()]


@dataclass(frozen=True)
class _Recorded(Git):
    """Runs nothing; keeps the environment of each call."""

    calls: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])

    async def __call__(self, *arguments: str | Path, env: Mapping[str, str] | None = None, **_: object) -> bytes:
        self.calls.append(env or {})
        return b""


def _answer(*addresses: str):
    async def lookup(_: Host) -> Sequence[str]:
        return addresses

    return lookup
