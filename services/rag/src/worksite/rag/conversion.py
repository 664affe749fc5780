"""Converts one HTML, PDF or DOCX file to Markdown, in a process of its own.

It is called with the file's suffix and the seconds of processor time that it may take. The file comes on standard
input, the Markdown goes to standard output; with exit status 1, the reason instead. The parsers are other people's and
the files anybody's, so before anything is read the process gives up the right to more memory, time and output than a
document may take.
"""

from __future__ import annotations

import io
import logging
import resource
import sys
import zipfile

MEMORY_BYTES = 1 << 30
TEXT_BYTES = 2 << 20
"""The longest Markdown; longer texts are not indexed either."""
UNPACKED_BYTES = 64 << 20
"""What the parts of a DOCX file, which is a ZIP archive, may take unpacked."""


class Refused(Exception):
    """A file that will not be converted; the text is for whoever owns it."""


def main() -> None:
    """Entry point of the process."""
    give_up_rights(int(sys.argv[2]))
    try:
        text, status = convert(sys.stdin.buffer.read(), sys.argv[1]), 0
    except Refused as error:
        text, status = str(error), 1
    except MemoryError:
        text, status = f"it takes more than the {MEMORY_BYTES >> 20} MiB of memory that a file may take", 1
    except Exception as error:  # three parsers, each with kinds of its own
        text, status = " ".join(f"{type(error).__name__}: {error}".split())[:300], 1
    sys.stdout.buffer.write(text.encode(errors="replace"))
    sys.stdout.buffer.flush()
    sys.exit(status)


def convert(data: bytes, suffix: str) -> str:
    """The Markdown of a file, never empty. Raises Refused, and whatever the parsers raise."""
    if suffix == ".docx":
        _check_archive(data)
    text = _markdown(data, suffix)
    if not text.strip():
        raise Refused("it holds no text; a scan has to be read by a human or an OCR first")
    if "\0" in text:
        raise Refused("it holds zero bytes: it is no text, or in a charset that it does not name")
    if (size := len(text.encode(errors="replace"))) > TEXT_BYTES:
        raise Refused(f"its text has {size} bytes; at most {TEXT_BYTES} are indexed")
    return text


def give_up_rights(processor_seconds: int) -> None:
    """For good, and for whatever this process starts."""
    logging.disable()
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, processor_seconds),
        (resource.RLIMIT_FSIZE, 2 * TEXT_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))


def _check_archive(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile as error:
        raise Refused(f"it is no DOCX file: {error}") from error
    if size > UNPACKED_BYTES:
        raise Refused(f"it unpacks to {size >> 20} MiB; at most {UNPACKED_BYTES >> 20} are read")


def _markdown(data: bytes, suffix: str) -> str:
    from markitdown import DocumentConverter, StreamInfo  # imported with the limits in force
    from markitdown.converters import DocxConverter, HtmlConverter, PdfConverter
    from pdfminer.pdfdocument import PDFPasswordIncorrect

    converters: dict[str, type[DocumentConverter]] = {".docx": DocxConverter, ".pdf": PdfConverter}
    converter = converters.get(suffix, HtmlConverter)()
    try:
        return converter.convert(io.BytesIO(data), StreamInfo(extension=suffix)).markdown
    except PDFPasswordIncorrect as error:
        raise Refused("it is encrypted; put a copy beside it that needs no password") from error


if __name__ == "__main__":
    main()
