"""Reading a zip or tar that means harm: a refusal that says what is wrong with it."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worksite.builder.testing import LINK, a_member, a_tar, a_zip
from worksite.builder.unpack import STREAM, Order, unpack
from worksite.common.errors import StepRefused
from worksite.common.messages import ArchiveFormat

FIFO, DEVICE = stat.S_IFIFO | 0o644, stat.S_IFCHR | 0o644


def _refused(folder: Path, data: bytes, kind: ArchiveFormat, max_bytes: int = 1 << 20) -> StepRefused:
    (folder / "upload").write_bytes(data)
    with pytest.raises(StepRefused) as refused:
        unpack(Order(kind, "upload", max_bytes), folder)
    return refused.value


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "absolute path"),
        ("C:/windows/x", "absolute path"),
        ("../../etc/passwd", "'..'"),
        ("a/../../b", "'..'"),
        ("..", "'..'"),
        ("a\\..\\b", "backslash"),
        ("a\nb", "control or invisible"),
        ("a\x1b[31m", "control or invisible"),
        ("a\u202eexe.txt", "control or invisible"),
        ("x" * 256, "more than 255 bytes"),
        ("long/" * 300 + "x", "longer than"),
        ("d/" * 50 + "x", "deeper than"),
    ],
)
def test_a_name_that_could_mean_harm_is_refused(tmp_path: Path, name: str, words: str) -> None:
    for data, kind in ((a_zip({name: "x"}), "zip"), (a_tar(a_member(name, b"x")), "tar")):
        refusal = _refused(tmp_path, data, kind)
        assert refusal.code == "unsafe_archive"
        assert words in refusal.detail
        assert len(refusal.detail) < 250
        assert refusal.detail.isprintable()


@pytest.mark.parametrize(
    "name",
    [".git/hooks/x", "p/.git/config", ".GIT/x", "git~1/x", ".git ./x", ".git::$INDEX_ALLOCATION/x", ".git"],
)
def test_an_archive_with_a_dot_git_folder_is_refused_with_advice(tmp_path: Path, name: str) -> None:
    for data, kind in ((a_zip({"a": "x", name: "x"}), "zip"), (a_tar(a_member(name, b"x")), "tar")):
        refusal = _refused(tmp_path, data, kind)
        assert refusal.code == "archive_has_git"
        assert "upload a bundle instead (`git bundle create repo.bundle --all`)" in refusal.detail


@pytest.mark.parametrize(
    "names",
    [
        ("README", "readme"),
        ("é", "e\u0301"),
        ("straße", "STRASSE"),
        ("src/a", "SRC/b"),
        ("a", "./a"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a/", "a"),
        ("x/A/b", "x/a"),
    ],
)
def test_two_names_that_could_be_one_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for data, kind in (
        (a_zip(dict.fromkeys(names, "")), "zip"),
        (a_tar(*(a_member(n, type=tarfile.DIRTYPE if n.endswith("/") else tarfile.REGTYPE) for n in names)), "tar"),
    ):
        assert (_refused(tmp_path, data, kind)).code == "unsafe_archive"


def test_a_name_that_stands_twice_in_a_zip_is_refused(tmp_path: Path) -> None:
    data = a_zip({"aaa": "good", "aab": "evil"}).replace(b"aab", b"aaa")

    assert (_refused(tmp_path, data, "zip")).code == "unsafe_archive"


@pytest.mark.parametrize("target", ["/etc/x", "../../x", "a/../../x", "", ".git/x", "a\\b", "a\nb", "x" * 2000])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    tar = a_tar(a_member("p/link", type=tarfile.SYMTYPE, linkname=target), a_member("a", b"x"))

    for data, kind in ((a_zip({"p/link": target, "a": "x"}, {"p/link": LINK}), "zip"), (tar, "tar")):
        assert (_refused(tmp_path, data, kind)).code == "unsafe_archive"


def test_no_file_is_placed_behind_a_link(tmp_path: Path) -> None:
    tar = a_tar(a_member("up", type=tarfile.SYMTYPE, linkname="docs"), a_member("up/x", b"x"), a_member("docs/a", b"x"))

    assert (_refused(tmp_path, tar, "tar")).code == "unsafe_archive"


@pytest.mark.parametrize("name", [".gitmodules", ".gitattributes", "p/.GITIGNORE", "gitmod~1", "GI7EBA~1"])
def test_a_link_in_place_of_one_of_gits_files_is_refused(tmp_path: Path, name: str) -> None:
    refusal = _refused(tmp_path, a_zip({name: "a", "a": "x"}, {name: LINK}), "zip")

    assert "link where git expects a file" in refusal.detail


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z"])
def test_whatever_is_neither_file_nor_folder_nor_link_is_refused(tmp_path: Path, kind: bytes) -> None:
    refusal = _refused(tmp_path, a_tar(a_member("a", b"x"), a_member("b", type=kind, linkname="a")), "tar")

    assert refusal.code == "unsafe_archive"
    assert "'b' is neither a file" in refusal.detail


@pytest.mark.parametrize("mode", [FIFO, DEVICE, stat.S_IFSOCK, stat.S_IFBLK])
def test_the_same_holds_for_a_zip(tmp_path: Path, mode: int) -> None:
    assert (_refused(tmp_path, a_zip({"a": "x"}, {"a": mode}), "zip")).code == "unsafe_archive"


def test_an_archive_of_nothing_is_refused(tmp_path: Path) -> None:
    for data, kind in ((a_zip({}), "zip"), (a_zip({"a/": ""}), "zip"), (a_tar(), "tar")):
        assert (_refused(tmp_path, data, kind)).code == "empty_archive"


def test_a_gzip_that_never_ends_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    """It is no tar at all, so no header says how large it is."""
    endless = gzip.compress(bytes(10 << 20), 1) * 20

    assert (_refused(tmp_path, endless, "tar", max_bytes=1)).code == "repository_too_large"


def test_a_zip_whose_header_lies_about_the_size_is_refused(tmp_path: Path) -> None:
    honest = a_zip({"a": "0" * 100_000})
    for said in (10, 1_000_000):
        lying = honest.replace(struct.pack("<I", 100_000), struct.pack("<I", said))
        assert lying != honest
        assert (_refused(tmp_path, lying, "zip")).code == "upload_unreadable", said


def test_a_zip_whose_entries_share_their_bytes_is_refused(tmp_path: Path) -> None:
    """Every name in the directory leads to the same data, as in 42.zip's successors."""
    data = a_zip({"a1": "0" * 50_000, "a2": "0" * 50_000})
    second = data.rindex(b"PK\x01\x02")
    offset = struct.pack("<I", 0)
    overlapping = data[: second + 42] + offset + data[second + 46 :]

    refusal = _refused(tmp_path, overlapping, "zip")

    assert refusal.code == "unsafe_archive"
    assert "overlap" in refusal.detail


def test_an_encrypted_or_unusually_compressed_zip_is_refused(tmp_path: Path) -> None:
    encrypted = bytearray(a_zip({"a": "x"}))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", "x")

    for data in (bytes(encrypted), output.getvalue()):
        assert (_refused(tmp_path, data, "zip")).code == "unsupported_archive"


def test_a_sparse_tar_is_refused(tmp_path: Path) -> None:
    """Its header promises a petabyte of nothing."""
    sparse = a_member("hole", b"", pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)})

    assert (_refused(tmp_path, a_tar(sparse), "tar")).code == "unsupported_archive"


def test_an_extended_header_cannot_smuggle_a_path_or_a_size(tmp_path: Path) -> None:
    path = a_member("harmless", b"x", pax_headers={"path": "../escape"})
    size = a_member("harmless", b"x", pax_headers={"size": "-512"})

    assert (_refused(tmp_path, a_tar(path), "tar")).code == "unsafe_archive"
    assert (_refused(tmp_path, a_tar(size, a_member("b", b"y")), "tar")).code == "upload_unreadable"


@pytest.mark.parametrize("spoil", [lambda d: d[: len(d) // 2], lambda d: d[:700], lambda d: b"no"])
def test_a_damaged_archive_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    members = [a_member(f"file{n}", os.urandom(600)) for n in range(5)]
    tar = a_tar(*members)

    for data, kind in ((a_zip({f"f{n}": "some text" for n in range(50)}), "zip"), (tar, "tar")):
        assert (_refused(tmp_path, spoil(data), kind)).code == "upload_unreadable"
    assert (_refused(tmp_path, gzip.compress(tar)[:-20], "tar")).code == "upload_unreadable"


def test_a_damaged_header_in_the_middle_of_a_tar_does_not_pass_for_its_end(tmp_path: Path) -> None:
    tar = bytearray(a_tar(a_member("one", b"1"), a_member("two", b"2")))
    tar[tar.index(b"two")] = ord("x")  # the checksum no longer fits

    assert (_refused(tmp_path, bytes(tar), "tar")).code == "upload_unreadable"


NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "/", "~", "C:", "\\", ".git", "x" * 300, "\u202e", "é"]), max_size=5
).map("/".join)
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]),
        NAMES,
        st.binary(max_size=20),
    ),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(members=MEMBERS, packed_as=st.sampled_from(["zip", "tar", "gzip"]), spoiled=st.none() | st.integers(0, 2000))
def test_no_archive_ever_writes_anything_but_its_stream(
    members: list[tuple[str, bytes, str, bytes]], packed_as: str, spoiled: int | None
) -> None:
    """And the stream names nothing outside the tree: git takes it whole."""
    data = bytearray(_packed(members, packed_as))
    if spoiled is not None and spoiled < len(data):
        data[spoiled] ^= 0xFF
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "attempt"
        folder.mkdir()
        (folder / "upload").write_bytes(data)
        try:
            unpack(Order("zip" if packed_as == "zip" else "tar", "upload", 1 << 20), folder)
        except StepRefused:
            pass
        else:
            for line in (folder / STREAM).read_bytes().split(b"\ndone\n")[0].split(b"\n"):
                assert not re.match(rb'M \d+ :\d+ "(/|.*(\.\.(/|"$)|\.git/))', line)
        written = {path.relative_to(parent).as_posix() for path in Path(parent).rglob("*")}
        assert written <= {"attempt", "attempt/upload", f"attempt/{STREAM}", "attempt/commit.tar"}


def _packed(members: list[tuple[str, bytes, str, bytes]], packed_as: str) -> bytes:
    if packed_as == "zip":
        modes = {tarfile.SYMTYPE: LINK, tarfile.FIFOTYPE: FIFO, tarfile.DIRTYPE: stat.S_IFDIR}
        files = {name: target if kind == tarfile.SYMTYPE else content.hex() for name, kind, target, content in members}
        return a_zip(files, {name: modes.get(kind, 0o100644) for name, kind, _, _ in members})
    tar = a_tar(
        *(
            a_member(name, content if kind == tarfile.REGTYPE else b"", type=kind, linkname=target)
            for name, kind, target, content in members
        )
    )
    return gzip.compress(tar) if packed_as == "gzip" else tar
