"""Importing an uploaded bundle: the whole history, or a refusal that says what is wrong with it."""

from __future__ import annotations

import random
import struct
import zlib
from hashlib import sha1
from pathlib import Path

import pytest
from worksite.builder.testing import TENANT, Desk, Origin, import_command, run_git
from worksite.common.errors import StepRefused
from worksite.common.messages import ArtifactRef, UploadedProject

pytestmark = pytest.mark.asyncio


async def _refused(desk: Desk, bundle: bytes, ref: str | None = None) -> StepRefused:
    with pytest.raises(StepRefused) as refused:
        await desk.import_upload(bundle, "bundle", ref)
    assert desk.leftovers() == []
    return refused.value


def _history(origin: Origin) -> str:
    origin.commit(a__txt="one")
    return origin.commit(a__txt="two")


async def test_a_bundle_is_imported_with_its_whole_history(desk: Desk, origin: Origin, tmp_path: Path) -> None:
    head = _history(origin)

    project = await desk.import_upload(origin.bundle(), "bundle")

    assert (project.base_sha, project.empty, project.changeset) == (head, False, None)
    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert run_git(clone, "rev-list", "--count", "HEAD") == "2"
    assert run_git(clone, "branch", "--show-current") == "trunk"
    assert desk.leftovers() == []
    assert "unpacking the upload" in desk.progress


async def test_the_same_bundle_gives_the_same_base_and_the_same_bytes_as_a_clone(desk: Desk, origin: Origin) -> None:
    _history(origin)
    bundle = origin.bundle()

    first = await desk.import_upload(bundle, "bundle")

    assert first == await desk.import_upload(bundle, "bundle")
    assert first.base_sha == (await desk.import_git(origin.url)).base_sha


async def test_a_ref_of_a_bundle_may_be_a_branch_a_tag_or_a_commit(desk: Desk, origin: Origin) -> None:
    first = origin.commit(a__txt="one")
    origin.git("tag", "-m", "annotated", "v1")
    origin.git("checkout", "--quiet", "-b", "feature/login")
    second = origin.commit(a__txt="two")
    bundle = origin.bundle()

    for ref, commit in (("trunk", first), ("v1", first), ("feature/login", second), (first, first), (first[:9], first)):
        assert (await desk.import_upload(bundle, "bundle", ref)).base_sha == commit, ref


async def test_without_head_the_only_branch_is_taken_and_of_several_none(desk: Desk, origin: Origin) -> None:
    head = _history(origin)
    assert (await desk.import_upload(origin.bundle("trunk"), "bundle")).base_sha == head
    origin.git("branch", "other")

    refusal = await _refused(desk, origin.bundle("--branches"))

    assert refusal.code == "unknown_ref"
    assert "name a branch, tag or commit as `ref`; it has 'other', 'trunk'" in refusal.detail


async def test_a_ref_that_a_bundle_lacks_is_refused_with_some_that_it_has(desk: Desk, origin: Origin) -> None:
    _history(origin)
    bundle = origin.bundle()

    for ref in ("no-such-branch", "0123456789" * 4):
        refusal = await _refused(desk, bundle, ref)
        assert refusal.code == "unknown_ref"
        assert repr(ref) in refusal.detail
        assert refusal.detail.endswith("it has 'trunk'")


async def test_a_review_of_a_bundle_compares_with_its_main_branch(desk: Desk, origin: Origin) -> None:
    fork = origin.commit(a__txt="one")
    origin.git("branch", "main")
    origin.git("checkout", "--quiet", "-b", "change")
    head = origin.commit(a__txt="two")

    project = await desk.import_upload(origin.bundle(), "bundle", review=True)

    assert project.changeset is not None
    found = project.changeset
    assert (found.base_sha, found.head_sha, found.branch, found.files_changed) == (fork, head, "change", 1)


async def test_a_review_of_a_bundle_takes_the_base_that_the_client_names(desk: Desk, origin: Origin) -> None:
    first = origin.commit(a__txt="one")
    head = origin.commit(a__txt="two")

    project = await desk.import_upload(origin.bundle(), "bundle", review=True, review_base=first)

    assert project.changeset is not None
    assert (project.changeset.base_sha, project.changeset.head_sha) == (first, head)


async def test_a_review_of_a_bundle_that_has_nothing_to_compare_with_has_no_baseline(
    desk: Desk, origin: Origin
) -> None:
    head = _history(origin)
    origin.git("branch", "other")

    project = await desk.import_upload(origin.bundle("--branches"), "bundle", "other", review=True)

    assert project.changeset is not None
    assert project.changeset.base_sha == project.changeset.head_sha == head


async def test_half_a_gigabyte_is_refused_before_it_is_fetched(desk: Desk) -> None:
    """It is not even stored: asking for it would end in another refusal."""
    huge = ArtifactRef(sha256="0" * 64, size=500_000_000, media_type="application/x-git-bundle")

    with pytest.raises(StepRefused, match=r"500000000 bytes, more than 104857600 \(MAX_UPLOAD_BYTES\)") as refused:
        await desk.handle(import_command(UploadedProject(archive=huge, format="bundle")))

    assert refused.value.code == "upload_too_large"
    assert desk.leftovers() == []


async def test_an_upload_that_has_expired_is_refused(desk: Desk) -> None:
    gone = ArtifactRef(sha256="0" * 64, size=500, media_type="application/zip")

    with pytest.raises(StepRefused, match="upload it again") as refused:
        await desk.handle(import_command(UploadedProject(archive=gone, format="zip"), tenant=TENANT))

    assert refused.value.code == "upload_missing"


async def test_a_bundle_cut_off_anywhere_is_refused_with_how_to_make_a_good_one(desk: Desk, origin: Origin) -> None:
    _history(origin)
    bundle = origin.bundle()

    for length in (5, 60, len(bundle) // 2, len(bundle) - 25, len(bundle) - 3):
        refusal = await _refused(desk, bundle[:length])
        assert refusal.code == "upload_unreadable", length
        assert "`git bundle create repo.bundle --all`" in refusal.detail


async def test_a_bundle_with_a_broken_object_is_refused(desk: Desk, origin: Origin) -> None:
    (origin.folder / "noise.bin").write_bytes(random.Random(1).randbytes(5000))  # stored, as noise cannot be compressed
    origin.commit()
    bundle = bytearray(origin.bundle())
    bundle[-3000] ^= 1

    assert (await _refused(desk, bytes(bundle))).code == "upload_unreadable"


async def test_a_bundle_whose_checksum_is_wrong_is_refused(desk: Desk, origin: Origin) -> None:
    _history(origin)
    bundle = bytearray(origin.bundle())
    bundle[-1] ^= 1

    assert (await _refused(desk, bytes(bundle))).code == "upload_unreadable"


async def test_a_bundle_that_lacks_an_object_is_refused(desk: Desk, origin: Origin) -> None:
    _history(origin)
    tree = origin.git("rev-parse", "HEAD^{tree}")
    objects = [
        line for line in origin.git("rev-list", "--objects", "--no-object-names", "HEAD").split() if line != tree
    ]
    refusal = await _refused(desk, _bundle_of(origin, objects))

    assert refusal.code == "incomplete_history"
    assert "lacks objects" in refusal.detail


async def test_a_bundle_without_its_prerequisites_is_refused(desk: Desk, origin: Origin) -> None:
    _history(origin)

    refusal = await _refused(desk, origin.bundle("HEAD~1..trunk"))

    assert refusal.code == "incomplete_history"
    assert "whole history" in refusal.detail


async def test_a_bundle_of_a_shallow_clone_is_refused(desk: Desk, origin: Origin, tmp_path: Path) -> None:
    _history(origin)
    run_git(tmp_path, "clone", "--quiet", "--depth=1", origin.url, str(tmp_path / "shallow"))

    refusal = await _refused(desk, Origin(tmp_path / "shallow").bundle())

    assert refusal.code == "incomplete_history"
    assert "--unshallow" in refusal.detail


async def test_a_bundle_made_with_a_filter_is_refused(desk: Desk, origin: Origin) -> None:
    _history(origin)

    refusal = await _refused(desk, origin.bundle("--filter=blob:none", "--all"))

    assert refusal.code == "incomplete_history"
    assert "--filter" in refusal.detail


async def test_a_sha256_bundle_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "modern").mkdir()
    modern = Origin(tmp_path / "modern")
    modern.git("init", "--quiet", "--object-format=sha256")
    modern.commit(a__txt="one")

    refusal = await _refused(desk, modern.bundle())

    assert refusal.code == "unsupported_repository"
    assert "SHA-256" in refusal.detail


async def test_a_bundle_of_a_tree_with_a_dot_git_folder_is_refused(desk: Desk, origin: Origin) -> None:
    blob = origin.git("hash-object", "-w", "--stdin", stdin="trap")
    inner = origin.git("mktree", stdin=f"100755 blob {blob}\tpost-checkout\n")
    tree = origin.git("mktree", stdin=f"040000 tree {inner}\t.GIT\n")
    origin.git("update-ref", "refs/heads/trunk", origin.git("commit-tree", "-m", "trap", tree))

    assert (await _refused(desk, origin.bundle())).code == "unsafe_repository"


async def test_the_harmless_faults_of_old_histories_are_tolerated_in_a_bundle(desk: Desk, origin: Origin) -> None:
    tree = origin.git("mktree")
    commit = f"tree {tree}\nauthor Ann <ann@example.com> 1300000000 +051800\ncommitter Ann 1300000000 +0000\n\nold\n"
    head = origin.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=commit)
    origin.git("update-ref", "refs/heads/trunk", head)

    assert (await desk.import_upload(origin.bundle(), "bundle")).base_sha == head


async def test_a_bundle_of_a_huge_file_is_refused(desk: Desk, origin: Origin) -> None:
    desk.options["max_repository_bytes"] = 1_000_000
    (origin.folder / "zeros.bin").write_bytes(bytes(3_000_000))
    origin.commit()

    refusal = await _refused(desk, origin.bundle())

    assert refusal.code == "repository_too_large"
    assert "more than 1000000 bytes" in refusal.detail


async def test_a_delta_that_stands_for_a_terabyte_is_refused_before_git_makes_room_for_it(
    desk: Desk, origin: Origin
) -> None:
    head = _history(origin)
    delta = bytes([1]) + _number(1 << 40) + b"\x90\x01"  # of one byte makes a terabyte
    entry = bytes([7 << 4 | len(delta)]) + bytes.fromhex(head) + zlib.compress(delta)
    header = f"# v2 git bundle\n{head} refs/heads/trunk\n\n".encode()

    refusal = await _refused(desk, header + _sealed(struct.pack(">4sII", b"PACK", 2, 1) + entry))

    assert refusal.code == "repository_too_large"


async def test_filters_below_the_top_of_a_bundle_are_refused(desk: Desk, origin: Origin) -> None:
    (origin.folder / "assets").mkdir()
    (origin.folder / "assets" / ".gitattributes").write_text("# pictures\n*.png filter=lfs diff=lfs -text\n")
    origin.commit(a__txt="one")

    refusal = await _refused(desk, origin.bundle())

    assert refusal.code == "git_filters"
    assert "'assets/.gitattributes', line 2" in refusal.detail


async def test_filters_of_the_base_of_a_review_are_refused_too(desk: Desk, origin: Origin) -> None:
    base = origin.commit(__gitattributes="*.png filter=lfs\n")
    (origin.folder / ".gitattributes").unlink()
    origin.commit(a__txt="one")

    with pytest.raises(StepRefused) as refused:
        await desk.import_upload(origin.bundle(), "bundle", review=True, review_base=base)

    assert refused.value.code == "git_filters"


def _bundle_of(origin: Origin, objects: list[str]) -> bytes:
    origin.git("pack-objects", "--quiet", "../lacking", stdin="".join(f"{one}\n" for one in objects))
    (pack,) = origin.folder.parent.glob("lacking-*.pack")
    return f"# v2 git bundle\n{objects[0]} refs/heads/trunk\n\n".encode() + pack.read_bytes()


def _number(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _sealed(pack: bytes) -> bytes:
    return pack + sha1(pack).digest()
