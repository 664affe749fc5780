"""Reads one upload; a program of its own, run by `uploads.py`.

Nothing of an archive is ever written under its own name: what comes out is one stream for `git fast-import`, in which
names are data. A process, not a thread: its memory and its files are capped by the kernel, and it can be stopped.
Standard input: the order as JSON. Exit status REFUSED: code and text of the refusal as JSON on standard output.
"""

from __future__ import annotations

import gzip
import io
import json
import resource
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal, NamedTuple

from worksite.builder.domain import authorship
from worksite.builder.domain.archives import MAX_ENTRIES, MAX_LINK_BYTES, Entry, arrange, unsafe
from worksite.builder.domain.packs import check_sizes
from worksite.common.errors import StepRefused

REFUSED = 3
MAX_SECONDS = 120
STREAM = "commit.stream"
COMMIT_REF = "refs/worksite/upload"
MESSAGE = "Import of an uploaded archive\n"
_MAX_MEMORY_BYTES = 2 << 30
_CHUNK_BYTES = 1 << 20
_TAR_BLOCK_BYTES = 512
_TAR_BYTES_PER_ENTRY = 3 * _TAR_BLOCK_BYTES
"""Of a header, of an extended one, and of what fills the last block."""
_UNIX, _ENCRYPTED = 3, 0x1
_LOCAL_HEADER_BYTES = 30
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
)
"""What Python's readers raise at bytes that mean harm."""


class Order(NamedTuple):
    """What to read, in the working directory; a bundle's pack begins at `pack_offset`."""

    format: Literal["bundle", "zip", "tar"]
    source: str
    max_bytes: int
    pack_offset: int = 0


def main() -> None:
    """Carry out the order."""
    order = Order(**json.load(sys.stdin))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))  # holds when the builder is killed, too
    try:
        unpack(order, Path.cwd())
    except StepRefused as refusal:
        json.dump({"code": refusal.code, "detail": refusal.detail}, sys.stdout)
        sys.exit(REFUSED)


def unpack(order: Order, folder: Path) -> None:
    """Check a bundle's pack, or turn an archive into STREAM. Raises StepRefused."""
    source, stream = folder / order.source, folder / STREAM
    try:
        if order.format == "bundle":
            check_sizes(memoryview(source.read_bytes())[order.pack_offset :], order.max_bytes)
        elif order.format == "zip":
            _unpack_zip(source, stream, order.max_bytes)
        else:
            _unpack_tar(source, stream, order.max_bytes)
    except MemoryError:
        raise StepRefused("repository_too_large", "the upload lists more than the builder can hold") from None
    except _DAMAGED as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise StepRefused(
            "upload_unreadable",
            f"the upload is damaged, or is no {order.format} file (a tar may be plain or in gzip): pack it anew",
        ) from error


def _unpack_zip(source: Path, stream: Path, max_bytes: int) -> None:
    with zipfile.ZipFile(source) as archive:
        infos = archive.infolist()
        _check_zip(infos)
        files = arrange((_zip_entry(archive, n, info) for n, info in enumerate(infos)), max_bytes)
        _write(stream, files, lambda entry: archive.open(infos[entry.index]))


def _check_zip(infos: list[zipfile.ZipInfo]) -> None:
    """Bytes that serve two entries make a bomb; Python reads bzip2 and lzma without a bound."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.flag_bits & _ENCRYPTED:
            raise StepRefused("unsupported_archive", "the archive is encrypted: pack it without a password")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise StepRefused("unsupported_archive", "the archive's compression is not deflate: pack it with plain zip")
        if info.header_offset < end:
            raise StepRefused("unsafe_archive", "the archive's entries overlap: pack it anew")
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size


def _zip_entry(archive: zipfile.ZipFile, index: int, info: zipfile.ZipInfo) -> Entry:
    path = _zip_name(info)
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if stat.S_ISDIR(mode) or info.is_dir():
        return Entry(index, path, "folder")
    if stat.S_ISLNK(mode):
        target = archive.read(info) if info.file_size <= MAX_LINK_BYTES else b""
        return Entry(index, path, "link", info.file_size, target=target.decode(errors="surrogateescape"))
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        raise unsafe(path, "is neither a file nor a folder nor a link")
    return Entry(index, path, "file", info.file_size, executable=bool(mode & stat.S_IXUSR))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """UTF-8 whether or not it says so, as macOS writes it; else the code page of old."""
    name = info.orig_filename
    try:
        return name if info.flag_bits & 0x800 else name.encode("cp437").decode()
    except UnicodeError:
        return name


def _unpack_tar(source: Path, stream: Path, max_bytes: int) -> None:
    plain = _without_gzip(source, stream.with_suffix(".tar"), max_bytes)
    with tarfile.open(plain, "r:") as archive, plain.open("rb") as data:
        infos = list[tarfile.TarInfo]()
        files = arrange(_tar_entries(archive, infos), max_bytes)
        data.seek(archive.offset)  # Python takes a damaged header for the end
        if data.read(_TAR_BLOCK_BYTES) != bytes(_TAR_BLOCK_BYTES):
            raise tarfile.ReadError("does not end as it should")
        _write(stream, files, lambda entry: _tar_content(archive, infos[entry.index]))


def _without_gzip(source: Path, plain: Path, max_bytes: int) -> Path:
    """The archive itself, uncompressed as far as it may grow."""
    with source.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return source
    room = max_bytes + MAX_ENTRIES * _TAR_BYTES_PER_ENTRY
    with gzip.open(source) as compressed, plain.open("wb") as output:
        while chunk := compressed.read(_CHUNK_BYTES):
            room -= output.write(chunk)
            if room < 0:
                raise StepRefused("repository_too_large", f"the archive unpacks to more than {max_bytes} bytes")
    return plain


def _tar_entries(archive: tarfile.TarFile, infos: list[tarfile.TarInfo]) -> Iterator[Entry]:
    for index, info in enumerate(archive):
        infos.append(info)
        if info.issparse():
            raise StepRefused("unsupported_archive", "the archive holds sparse files: pack it without --sparse")
        if info.size < 0:  # would lead the reader backwards, for ever
            raise tarfile.ReadError("negative size")
        if info.isdir():
            yield Entry(index, info.name, "folder")
        elif info.issym():
            yield Entry(index, info.name, "link", target=info.linkname)
        elif info.type in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            yield Entry(index, info.name, "file", info.size, executable=bool(info.mode & stat.S_IXUSR))
        else:
            raise unsafe(info.name, "is neither a file nor a folder nor a symbolic link: pack copies of hard links")


def _tar_content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(info)
    assert content  # a regular file has content
    return content


def _write(stream: Path, files: Sequence[Entry], content_of: Callable[[Entry], IO[bytes]]) -> None:
    """One commit for `git fast-import`: every blob under a mark, then the paths that lead to them."""
    with stream.open("wb") as output:
        for mark, entry in enumerate(files, 1):
            content = io.BytesIO(entry.target.encode()) if entry.kind == "link" else content_of(entry)
            with content:
                _write_blob(output, mark, entry, content)
        output.write(_commit(files))


def _write_blob(output: IO[bytes], mark: int, entry: Entry, content: IO[bytes]) -> None:
    """Exactly as many bytes as the archive said, which have been counted before."""
    left = len(entry.target.encode()) if entry.kind == "link" else entry.size
    output.write(b"blob\nmark :%d\ndata %d\n" % (mark, left))
    while chunk := content.read(min(_CHUNK_BYTES, left + 1)):
        left -= output.write(chunk)
        if left < 0:
            break
    if left:
        raise ValueError(f"{abs(left)} bytes differ from what the archive says")
    output.write(b"\n")


def _commit(files: Sequence[Entry]) -> bytes:
    who = f"{authorship.NAME} <{authorship.EMAIL}> {authorship.ROOT_SECONDS} +0000"
    lines = [f"commit {COMMIT_REF}", f"author {who}", f"committer {who}", f"data {len(MESSAGE)}", MESSAGE]
    for mark, entry in enumerate(files, 1):
        mode = "120000" if entry.kind == "link" else "100755" if entry.executable else "100644"
        quoted = entry.path.replace('"', '\\"')  # no path holds a backslash or a line end
        lines.append(f'M {mode} :{mark} "{quoted}"')
    return "".join(f"{line}\n" for line in (*lines, "done")).encode()


if __name__ == "__main__":
    main()
