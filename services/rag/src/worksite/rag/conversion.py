"""Converts one HTML, PDF or DOCX file to Markdown, in a process of its own."""

from __future__ import annotations

import io
import zipfile

from worksite.rag import confined
from worksite.rag.confined import Refused

TEXT_BYTES = 2 << 20
"""The longest Markdown; longer texts are not indexed either."""
OUTPUT_BYTES = 2 * TEXT_BYTES
UNPACKED_BYTES = 64 << 20
"""What the parts of a DOCX file, which is a ZIP archive, may take unpacked."""


def main() -> None:
    """Entry point of the process; its argument is the file's suffix."""
    confined.serve(convert, OUTPUT_BYTES)


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
