"""Importing an uploaded zip or tar: one commit of its files, or a refusal that leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from worksite.builder import uploads
from worksite.builder.remote import RemoteUnavailable
from worksite.builder.testing import LINK, Desk, Origin, a_member, a_tar, a_zip, run_git
from worksite.common.errors import StepRefused
from worksite.common.messages import ArchiveFormat

pytestmark = pytest.mark.asyncio


async def _refused(desk: Desk, data: bytes, kind: ArchiveFormat, ref: str | None = None) -> StepRefused:
    with pytest.raises(StepRefused) as refused:
        await desk.import_upload(data, kind, ref)
    assert desk.leftovers() == []
    return refused.value


async def test_a_zip_becomes_one_commit_on_main_by_us(desk: Desk, tmp_path: Path) -> None:
    data = a_zip({"a.txt": "one", "src/run.sh": "#!/bin/sh\n"}, {"src/run.sh": 0o100755})

    project = await desk.import_upload(data, "zip")

    assert not project.empty
    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert run_git(clone, "log", "--format=%H %an <%ae> %aI %cI %s") == (
        f"{project.base_sha} Worksite <worksite@localhost> 2000-01-01T00:00:00+00:00 2000-01-01T00:00:00+00:00 "
        "Import of an uploaded archive"
    )
    assert run_git(clone, "branch", "--show-current") == "main"
    assert (clone / "a.txt").read_text() == "one"
    assert os.access(clone / "src" / "run.sh", os.X_OK)
    assert not os.access(clone / "a.txt", os.X_OK)
    assert desk.leftovers() == []


async def test_the_same_archive_gives_the_same_base_and_bytes_and_a_tar_of_the_same_files_the_same_base(
    desk: Desk,
) -> None:
    packed = a_zip({"a.txt": "one" * 500, "b.txt": "one" * 501})
    tar = a_tar(a_member("b.txt", b"one" * 501, mtime=77, uid=5), a_member("a.txt", b"one" * 500))

    first = await desk.import_upload(packed, "zip")

    assert first == await desk.import_upload(packed, "zip")
    for same in (tar, gzip.compress(tar)):
        assert (await desk.import_upload(same, "tar")).base_sha == first.base_sha


async def test_a_single_folder_around_everything_is_left_out(desk: Desk, tmp_path: Path) -> None:
    wrapped = a_zip({"shop-main/": "", "shop-main/a.txt": "one", "shop-main/b/c.txt": "two", "__MACOSX/._a.txt": "mac"})

    project = await desk.import_upload(wrapped, "zip")

    assert project.base_sha == (await desk.import_upload(a_zip({"a.txt": "one", "b/c.txt": "two"}), "zip")).base_sha


async def test_names_of_every_kind_arrive_as_they_were(desk: Desk, tmp_path: Path) -> None:
    names = ['say "hi".txt', "häßlich 文件.txt", "a:b", "-x", "tab~1", "deep/" * 20 + "end"]

    for data, kind in ((a_zip(dict.fromkeys(names, "x")), "zip"), (a_tar(*(a_member(n, b"x") for n in names)), "tar")):
        project = await desk.import_upload(data, kind)
        clone = await desk.unbundle(project.bundle, tmp_path / kind)
        assert sorted(run_git(clone, "ls-files", "-z").strip("\0").split("\0")) == sorted(names)


async def test_a_name_in_utf8_that_does_not_say_so_is_read_as_utf8(desk: Desk, tmp_path: Path) -> None:
    """As macOS packs it; the flag is taken out of both headers."""
    data = bytearray(a_zip({"é.txt": "x", "b": "y"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset + 1] &= ~0x08
    project = await desk.import_upload(bytes(data), "zip")

    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert (clone / "é.txt").exists()


async def test_a_link_inside_the_archive_is_kept(desk: Desk, tmp_path: Path) -> None:
    packed = a_zip({"p/docs/readme": "../a.txt", "p/a.txt": "one"}, {"p/docs/readme": LINK})
    tar = a_tar(a_member("docs/readme", type=tarfile.SYMTYPE, linkname="../a.txt"), a_member("a.txt", b"one"))

    project = await desk.import_upload(packed, "zip")

    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert (clone / "docs" / "readme").readlink() == Path("../a.txt")
    assert (await desk.import_upload(tar, "tar")).base_sha == project.base_sha


async def test_a_review_of_an_archive_judges_everything_in_it(desk: Desk) -> None:
    project = await desk.import_upload(a_zip({"a.txt": "one"}), "zip", review=True)

    assert project.changeset is not None
    assert project.changeset.base_sha == project.changeset.head_sha
    assert "no baseline" in project.changeset.summary


async def test_an_archive_has_no_refs(desk: Desk) -> None:
    refusal = await _refused(desk, a_zip({"a.txt": "one"}), "zip", "main")

    assert refusal.code == "unknown_ref"
    assert "leave out `ref`" in refusal.detail


async def test_a_gitmodules_that_git_finds_dangerous_is_refused(desk: Desk) -> None:
    trap = '[submodule "x"]\n\tpath = x\n\turl = --upload-pack=touch owned\n'

    refusal = await _refused(desk, a_zip({".gitmodules": trap, "a": "x"}), "zip")

    assert refusal.code == "unsafe_archive"


async def test_filters_in_an_archive_are_refused(desk: Desk) -> None:
    refusal = await _refused(desk, a_zip({"x/.gitattributes": "\n*.bin filter=lfs\n", "a": ""}), "zip")

    assert refusal.code == "git_filters"
    assert "line 2" in refusal.detail


async def test_attributes_that_would_take_long_to_read_are_refused(desk: Desk) -> None:
    half = "ab\n" * 200_000

    refusal = await _refused(desk, a_zip({".gitattributes": half, "x/.gitattributes": half, "a": ""}), "zip")

    assert refusal.code == "repository_too_large"
    assert ".gitattributes" in refusal.detail


async def test_a_zip_that_unpacks_to_a_thousand_times_its_size_is_refused(desk: Desk) -> None:
    desk.options["max_repository_bytes"] = 1_000_000
    bomb = a_zip({f"{n}.txt": "0" * 600_000 for n in range(2)})
    assert len(bomb) < 2_000

    for data, kind in ((bomb, "zip"), (gzip.compress(a_tar(a_member("a", bytes(1_100_000)))), "tar")):
        refusal = await _refused(desk, data, kind)
        assert refusal.code == "repository_too_large"
        assert "more than 1000000 bytes" in refusal.detail


async def test_an_archive_in_an_archive_is_a_file_like_any_other(desk: Desk, tmp_path: Path) -> None:
    inner = a_zip({"../../escape": "x"})
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("inner.zip", inner)

    project = await desk.import_upload(output.getvalue(), "zip")

    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert (clone / "inner.zip").read_bytes() == inner


async def test_an_archive_that_takes_too_long_is_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_SECONDS", 0.001)

    refusal = await _refused(desk, a_zip({"a": "x"}), "zip")

    assert refusal.code == "repository_too_large"
    assert "too long" in refusal.detail


@pytest.mark.parametrize(("says", "error"), [("No space left on device", RemoteUnavailable), ("a bug", RuntimeError)])
async def test_a_fault_of_ours_is_no_refusal_and_keeps_the_work_until_the_retry(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, error: type[Exception]
) -> None:
    program = tmp_path / "failing.py"
    program.write_text(f"raise OSError({says!r})")
    monkeypatch.setattr(uploads, "_PROGRAM", program)

    with pytest.raises(error):
        await desk.import_upload(a_zip({"a": "x"}), "zip")

    assert len(desk.leftovers()) == 1


async def test_a_large_zip_of_the_newer_kind_is_read(desk: Desk, tmp_path: Path) -> None:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"x")

    clone = await desk.unbundle((await desk.import_upload(output.getvalue(), "zip")).bundle, tmp_path / "clone")

    assert (clone / "a").read_text() == "x"


async def test_git_that_takes_too_long_over_an_upload_is_stopped(desk: Desk, origin: Origin) -> None:
    origin.commit(a__txt="one")
    bundle = origin.bundle()
    desk.options["clone_timeout_seconds"] = 0.0001

    for data, kind in ((bundle, "bundle"), (a_zip({"a": "x"}), "zip")):
        refusal = await _refused(desk, data, kind)
        assert refusal.code == "repository_too_large"
        assert "git took longer" in refusal.detail
