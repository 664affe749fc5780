"""A backup's file is taken whole or not at all."""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from worksite.rag.archive import ArchiveError, unpack_archive, write_archive

FILES = {
    "index/0123456789abcdef/segment": random.Random(1).randbytes(20_000),
    "index/0123456789abcdef/wal": bytes(1000),
    "embeddings.sqlite3": random.Random(2).randbytes(5000),
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source, file = tmp_path / "source", tmp_path / "rag.backup"
    for name, data in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    write_archive(file, {name: source / name for name in FILES}, {"chunks": 2})
    return file


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewritten(archive: Path, change: Callable[[Members], Members]) -> None:
    """The same archive with other members."""
    with tarfile.open(archive) as tar:
        members = [(member, file.read()) for member in tar if (file := tar.extractfile(member))]
    with tarfile.open(archive, "w:gz") as tar:
        for member, data in change(members):
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def truncated(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])


def bit_flipped(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1  # what is packed is random: every bit counts
    archive.write_bytes(data)


def a_member_missing(archive: Path) -> None:
    rewritten(archive, lambda members: members[:-1])


def a_member_added(archive: Path) -> None:
    rewritten(archive, lambda members: [*members, (tarfile.TarInfo("index/extra"), b"x")])


def a_member_twice(archive: Path) -> None:
    rewritten(archive, lambda members: [*members, members[-1]])


def a_member_changed(archive: Path) -> None:
    rewritten(archive, lambda members: [*members[:-1], (members[-1][0], members[-1][1][:-1] + b"!")])


def a_path_out_of_the_folder(archive: Path) -> None:
    escaping = "../../../../escaped"

    def renamed(members: Members) -> Members:
        (head, data), *rest, (last, content) = members
        data = data.replace(json.dumps(last.name).encode(), json.dumps(escaping).encode())
        last.name = escaping
        return [(head, data), *rest, (last, content)]

    rewritten(archive, renamed)


def a_link(archive: Path) -> None:
    def linked(members: Members) -> Members:
        link = members[-1][0]
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        return [*members[:-1], (link, b"")]

    rewritten(archive, linked)


def too_large_for_the_disk(archive: Path) -> None:
    def claiming(members: Members) -> Members:
        (head, data), *rest = members
        contents = json.loads(data)
        contents["files"]["index/huge"] = {"size": 1 << 60, "sha256": ""}
        return [(head, json.dumps(contents).encode()), *rest]

    rewritten(archive, claiming)


def another_kind_of_archive(archive: Path) -> None:
    rewritten(archive, lambda _: [(tarfile.TarInfo("notes.md"), b"# Notes")])


def no_archive(archive: Path) -> None:
    archive.write_bytes(gzip.compress(b"notes"))


def nothing(archive: Path) -> None:
    archive.unlink()


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (truncated, "no backup, or a damaged one"),
        (bit_flipped, "no backup, or a damaged one"),
        (a_member_missing, "it lacks 1 of its files"),
        (a_member_added, "no backup, or a damaged one"),
        (a_member_twice, "no backup, or a damaged one"),
        (a_member_changed, "is not as it was written"),
        (a_path_out_of_the_folder, "is not what a backup holds"),
        (a_link, "is not what a backup holds"),
        (too_large_for_the_disk, "more than there is room for"),
        (another_kind_of_archive, "it does not begin with contents.json"),
        (no_archive, "no backup, or a damaged one"),
        (nothing, "does not exist"),
    ],
)
def test_file_that_is_no_whole_backup_is_refused_and_nothing_is_written_outside(
    archive: Path, tmp_path: Path, spoiled: Callable[[Path], None], reason: str
) -> None:
    spoiled(archive)
    into = tmp_path / "a" / "b" / "c" / "d"
    into.mkdir(parents=True)
    with pytest.raises(ArchiveError, match=reason):
        unpack_archive(archive, into)
    assert not (tmp_path / "escaped").exists()
    assert not any(path.is_symlink() for path in into.rglob("*"))


def test_archive_gives_back_what_was_put_into_it(archive: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    assert unpack_archive(archive, into) == {"chunks": 2}
    assert {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()} == set(FILES)
    assert all((into / name).read_bytes() == data for name, data in FILES.items())
    assert archive.stat().st_mode & 0o777 == 0o600


def test_archive_that_cannot_be_written_leaves_no_half_of_it_under_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        write_archive(tmp_path / "rag.backup", {"missing": tmp_path / "missing"}, {})
    assert not (tmp_path / "rag.backup").exists()


def test_archive_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(random.Random(1).randbytes(100_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_archive(tmp_path / "rag.backup", {"large": file}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == [file]
