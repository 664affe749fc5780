"""Repositories and requests that mean harm."""

from __future__ import annotations

import asyncio
import io
import os
import random
import stat
import zipfile
from pathlib import Path

import pytest
from worksite.builder.domain.remote_refs import RemoteRefs, WantedRef, choose
from worksite.builder.git import Git, GitFailed
from worksite.builder.remote import Limits, Remote
from worksite.builder.repository import Repository
from worksite.builder.testing import Desk, Origin, import_command, run_git
from worksite.common.errors import StepRefused
from worksite.common.messages import GitProject

pytestmark = pytest.mark.asyncio
LIMITS = Limits(
    max_bytes=1 << 20, max_upload_bytes=1 << 20, timeout_seconds=30, allow_file_urls=True, allow_private_hosts=True
)


async def _zip_of(desk: Desk, origin: Origin) -> zipfile.ZipFile:
    project = await desk.import_git(origin.url, review=True)
    assert project.changeset is not None
    return zipfile.ZipFile(io.BytesIO(await desk.artifacts.get(project.changeset.archive)))


async def test_a_url_with_credentials_is_refused_without_repeating_them(tmp_path: Path) -> None:
    repository = await Repository.create(tmp_path / "r.git")

    for url in ("https://ann:s3cret@example.com/x.git", "https://s3cret@example.com/x.git"):
        with pytest.raises(StepRefused) as refused:
            await Remote(url, LIMITS).refs(repository)
        assert refused.value.code == "url_refused"
        assert "s3cret" not in refused.value.detail


@pytest.mark.parametrize(
    "url", ["ext::sh -c date", "ssh://git@example.com/x.git", "ssh://example.com/x", "https:///x", "https://-oProxy/x"]
)
async def test_a_url_that_is_no_plain_web_address_is_refused(tmp_path: Path, url: str) -> None:
    repository = await Repository.create(tmp_path / "r.git")

    with pytest.raises(StepRefused) as refused:
        await Remote(url, LIMITS).refs(repository)

    assert refused.value.code == "url_refused"


async def test_a_file_url_is_refused_unless_it_is_allowed(desk: Desk, origin: Origin) -> None:
    origin.commit(a__txt="one")
    desk.options["allow_file_urls"] = False

    with pytest.raises(StepRefused, match="file:// may not be used here"):
        await desk.import_git(origin.url)


async def test_git_itself_refuses_every_protocol_it_was_not_told_to_use(origin: Origin, tmp_path: Path) -> None:
    """The second wall, should a URL ever get past the first."""
    origin.commit(a__txt="one")
    repository = await Repository.create(tmp_path / "r.git")

    for url in (origin.url, f"ext::touch {tmp_path}/owned", "https://127.0.0.1:9/x.git"):
        with pytest.raises(GitFailed, match="not allowed"):
            await repository.git("fetch", "--", url)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("ref", ["--upload-pack=touch owned", "-x", "main; id", "a b", "main^{/x}", "@{u}", ""])
async def test_a_ref_that_is_no_name_is_refused(desk: Desk, origin: Origin, ref: str) -> None:
    head = origin.commit(a__txt="one")
    assert head

    with pytest.raises(StepRefused) as refused:
        await desk.handle(import_command(GitProject(git_url=origin.url), review=True, review_base=ref))

    assert refused.value.code == "unknown_ref"


async def test_a_branch_named_like_a_commit_does_not_replace_the_commit(desk: Desk, origin: Origin) -> None:
    pinned = origin.commit(a__txt="reviewed")
    hostile = origin.commit(a__txt="hostile")
    for kind in ("heads", "tags"):
        origin.git("update-ref", f"refs/{kind}/{pinned}", hostile)

    for asked in (pinned, pinned.upper()):
        assert (await desk.import_git(origin.url, asked)).base_sha == pinned


async def test_a_ref_like_an_option_is_fetched_as_a_name_should_a_remote_offer_one(tmp_path: Path) -> None:
    refs = RemoteRefs(frozenset({"refs/heads/--upload-pack=x"}), "refs/heads/--upload-pack=x", None)

    assert choose(refs, None) == WantedRef("refs/heads/--upload-pack=x")


async def test_a_repository_over_the_limit_is_refused_and_leaves_nothing(desk: Desk, origin: Origin) -> None:
    desk.options["max_repository_bytes"] = 1_000_000
    (origin.folder / "huge.bin").write_bytes(random.Random(1).randbytes(3_000_000))
    origin.commit()

    with pytest.raises(StepRefused, match="more than 1000000 bytes") as refused:
        await desk.import_git(origin.url)

    assert refused.value.code == "repository_too_large"
    assert desk.leftovers() == []


async def test_a_tree_that_unpacks_to_more_than_the_limit_is_not_archived(desk: Desk, origin: Origin) -> None:
    desk.options["max_repository_bytes"] = 1_000_000
    (origin.folder / "zeros.bin").write_bytes(bytes(3_000_000))
    origin.commit()

    with pytest.raises(StepRefused) as refused:
        await desk.import_git(origin.url, review=True)

    assert refused.value.code == "repository_too_large"


async def test_a_tree_of_a_billion_files_is_refused(desk: Desk, origin: Origin) -> None:
    """A dozen objects, each listing the one before ten times."""
    blob = origin.git("hash-object", "-w", "--stdin", stdin="x")
    tree = origin.git("mktree", stdin="".join(f"100644 blob {blob}\tf{n}\n" for n in range(10)))
    for _ in range(8):
        tree = origin.git("mktree", stdin="".join(f"040000 tree {tree}\tf{n}\n" for n in range(10)))
    origin.git("update-ref", "refs/heads/trunk", origin.git("commit-tree", "-m", "bomb", tree))

    with pytest.raises(StepRefused) as refused:
        await desk.import_git(origin.url, review=True)

    assert refused.value.code == "repository_too_large"


async def test_no_hook_and_no_filter_of_anybody_runs_and_filters_are_refused(
    desk: Desk, origin: Origin, tmp_path: Path
) -> None:
    """Neither the repository's own, nor those that the builder's user has configured for every repository."""
    trap = f"#!/bin/sh\ntouch {tmp_path}/owned\n"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        for folder in (hooks, origin.folder / ".git" / "hooks"):
            (folder / name).write_text(trap)
            (folder / name).chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {hooks}\nfsmonitor = {hooks}/pre-commit\n[filter "trap"]\n'
        f"clean = {hooks}/pre-commit\nsmudge = {hooks}/pre-commit\n"
    )
    plain = Origin(tmp_path / "origin")
    (plain.folder / ".gitattributes").write_text("* filter=trap\n")
    run_git(plain.folder, "-c", "core.hooksPath=/dev/null", "add", "--all")
    run_git(plain.folder, "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "trap")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
        patch.setenv("GIT_TEMPLATE_DIR", str(tmp_path))
        with pytest.raises(StepRefused, match=r"git filters \('\.gitattributes', line 1\)"):
            await desk.import_git(plain.url, review=True)
        (plain.folder / ".gitattributes").unlink()
        run_git(
            plain.folder, "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--all", "--allow-empty", "-m", "no"
        )
        await desk.import_git(plain.url)
        await desk.build(await desk.build_command(await desk.import_new()))

    assert not (tmp_path / "owned").exists()


async def test_no_git_variable_of_the_builder_reaches_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_TRACE", "SOME_TOKEN"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    repository = await Repository.create(tmp_path / "r.git")

    seen = await repository.git("-c", "alias.environment=!env", "environment")

    for name in (b"GIT_SSH_COMMAND", b"GIT_EXTERNAL_DIFF", b"GIT_TRACE=", b"SOME_TOKEN", b"elsewhere"):
        assert name not in seen


async def test_the_archive_ignores_export_attributes(desk: Desk, origin: Origin) -> None:
    (origin.folder / ".gitattributes").write_text(
        "secret.py export-ignore\nversion.txt export-subst\n* text eol=crlf\n"
    )
    origin.commit(secret__py="print('left out?')\n", version__txt="$Format:%H$\n")

    archive = await _zip_of(desk, origin)

    assert archive.read("secret.py") == b"print('left out?')\n"
    assert archive.read("version.txt") == b"$Format:%H$\n"


async def test_a_link_out_of_the_tree_is_archived_as_a_file(desk: Desk, origin: Origin) -> None:
    (origin.folder / "out").symlink_to("/etc/passwd")
    (origin.folder / "up").symlink_to("../../etc/passwd")
    (origin.folder / "in").symlink_to("a.txt")
    origin.commit(a__txt="one")

    archive = await _zip_of(desk, origin)

    assert archive.read("out") == b"/etc/passwd"
    assert {name: _is_link(archive, name) for name in ("out", "up", "in")} == {"out": False, "up": False, "in": True}


async def test_submodules_are_not_followed(desk: Desk, origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Origin(tmp_path / "other")
    other.git("init", "--quiet")
    other.commit(b__txt="other")
    origin.git("submodule", "add", "--quiet", other.url, "vendored")
    origin.commit(a__txt="one")

    archive = await _zip_of(desk, origin)

    assert archive.namelist() == [".gitmodules", "a.txt", "vendored/"]


async def test_a_tree_with_a_dot_git_folder_is_refused(desk: Desk, origin: Origin) -> None:
    """What makes a client's checkout run a hook (CVE-2014-9390); git refuses to take the object in."""
    blob = origin.git("hash-object", "-w", "--stdin", stdin="trap")
    inner = origin.git("mktree", stdin=f"100755 blob {blob}\tpost-checkout\n")
    tree = origin.git("mktree", stdin=f"040000 tree {inner}\t.GIT\n")
    origin.git("update-ref", "refs/heads/trunk", origin.git("commit-tree", "-m", "trap", tree))

    with pytest.raises(StepRefused) as refused:
        await desk.import_git(origin.url)

    assert refused.value.code == "unsafe_repository"


async def test_the_harmless_faults_of_old_histories_are_tolerated(desk: Desk, origin: Origin) -> None:
    tree = origin.git("mktree")
    commit = f"tree {tree}\nauthor Ann <ann@example.com> 1300000000 +051800\ncommitter Ann 1300000000 +0000\n\nold\n"
    head = origin.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=commit)
    origin.git("update-ref", "refs/heads/trunk", head)

    assert (await desk.import_git(origin.url)).base_sha == head


async def test_names_that_are_not_utf8_are_archived_with_escapes(desk: Desk, origin: Origin) -> None:
    (origin.folder / os.fsdecode(b"caf\xe9.txt")).write_text("latin")
    origin.commit(a__txt="one")

    archive = await _zip_of(desk, origin)

    assert archive.read("caf\\xe9.txt") == b"latin"


async def test_an_error_shows_no_password_that_git_repeats(tmp_path: Path) -> None:
    repository = await Repository.create(tmp_path / "r.git")

    with pytest.raises(GitFailed) as failed:
        await repository.git("fetch", "--", "https://ann:s3cret@127.0.0.1:9/x.git", protocols="https")

    assert "127.0.0.1" in str(failed.value)
    assert "s3cret" not in str(failed.value)


async def test_a_git_command_that_hangs_is_killed_with_its_helpers(tmp_path: Path) -> None:
    repository = await Repository.create(tmp_path / "r.git")
    alias = f"alias.hang=!sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' & sleep 60"

    with pytest.raises(TimeoutError, match=r"longer than 0\.5 s"):
        await Git(repository.git.directory)("-c", alias, "hang", timeout_seconds=0.5)

    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(5):  # a killed process takes a moment to go
        while _runs(pid):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    """A process that was killed may remain as a zombie until somebody collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def _is_link(archive: zipfile.ZipFile, name: str) -> bool:
    return stat.S_ISLNK(archive.getinfo(name).external_attr >> 16)
