"""HTML, PDF and DOCX become Markdown in a process that may not take much, whatever the file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from typing import Any

import pytest
from worksite.rag import conversion
from worksite.rag.confined import Refused
from worksite.rag.conversion import convert
from worksite.rag.converting import Converter
from worksite.rag.domain.documents import Unindexable
from worksite.rag.domain.queries import Scope
from worksite.rag.keeper import Keeper

HTML = b"<html><head><title>T</title><script>steal()</script></head><body><h1>Tokens</h1><p>Rotated.</p></body></html>"
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATION = (
    '<Relationships xmlns="{p}/relationships"><Relationship Id="r" Type="{o}/{kind}" Target="{to}"/></Relationships>'
)


def docx(body: str = "Rotated.") -> bytes:
    """The least that Word would open: a heading and a paragraph."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.'
            f'openxmlformats-package.relationships+xml"/><Override PartName="/d.xml" ContentType="{main}"/></Types>',
        )
        archive.writestr("_rels/.rels", _RELATION.format(p=_PACKAGE, o=_OFFICE, kind="officeDocument", to="d.xml"))
        archive.writestr("_rels/d.xml.rels", _RELATION.format(p=_PACKAGE, o=_OFFICE, kind="styles", to="s.xml"))
        archive.writestr(
            "s.xml",
            f'<w:styles {_WORD}><w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 1"/></w:style>'
            "</w:styles>",
        )
        archive.writestr(
            "d.xml",
            f'<w:document {_WORD}><w:body><w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>Tokens</w:t></w:r></w:p>'
            f"<w:p><w:r><w:t>{body}</w:t></w:r></w:p></w:body></w:document>",
        )
    return buffer.getvalue()


def pdf(*lines: str) -> bytes:
    """One page with these lines."""
    stream = "BT /F 12 Tf 72 720 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    whole, starts = b"%PDF-1.4\n", list[int]()
    for number, one in enumerate(objects, 1):
        starts.append(len(whole))
        whole += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{start:010} 00000 n \n" for start in starts)
    return (
        whole
        + (
            f"xref\n0 6\n0000000000 65535 f \n{table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(whole)}\n%%EOF"
        ).encode()
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("suffix", "data", "expected"),
    [
        (".html", HTML, "# Tokens\n\nRotated."),
        (".pdf", pdf("Tokens", "Rotated."), "Tokens\nRotated."),
        (".docx", docx(), "# Tokens\n\nRotated."),
    ],
)
async def test_text_and_headings_of_a_file_become_markdown(suffix: str, data: bytes, expected: str) -> None:
    assert (await Converter().markdown(data, suffix)).strip() == expected


@pytest.mark.parametrize(
    ("suffix", "data", "reason"),
    [
        (".docx", b"no zip", "it is no DOCX file: File is not a zip file"),
        (".pdf", pdf(), "it holds no text; a scan has to be read by a human or an OCR first"),
        (".html", b"<html>", "it holds no text"),
        (".html", b"<p>" + b"x" * (conversion.TEXT_BYTES + 1), "bytes; at most 2097152 are indexed"),
    ],
)
def test_file_without_a_text_to_index_is_refused_with_the_reason(suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        convert(data, suffix)


def test_archive_that_unpacks_to_much_more_is_refused_unread() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(conversion.UNPACKED_BYTES + 1))
    assert len(buffer.getvalue()) < 100_000
    with pytest.raises(Refused, match="it unpacks to 64 MiB; at most 64 are read"):
        convert(buffer.getvalue(), ".docx")


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [b"%PDF-1.7 broken", b"", os.urandom(1000), pdf("x")[:200]], ids=["b", "e", "r", "h"])
async def test_broken_pdf_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(Unindexable, match=r"^it cannot be converted: \w"):
        await Converter().markdown(data, ".pdf")


@pytest.mark.asyncio
async def test_conversion_that_takes_too_long_is_ended_and_the_next_one_works() -> None:
    converter = Converter(seconds=0.01)
    with pytest.raises(Unindexable, match=r"cannot be converted: it takes longer than 0\.01 s"):
        await converter.markdown(HTML, ".html")
    converter._process._seconds = 30
    assert "Rotated" in await converter.markdown(HTML, ".html")


@pytest.mark.asyncio
async def test_conversion_that_takes_too_much_processor_time_is_ended() -> None:
    deep = b"<table>" + b"<tr><td>" * 1_000_000
    with pytest.raises(Unindexable, match="it cannot be converted: it takes more processor time"):
        await Converter(processor_seconds=1).markdown(deep, ".html")


def test_conversion_gives_up_the_right_to_memory_output_and_files() -> None:
    tries = "import tempfile;from worksite.rag.confined import give_up_rights;give_up_rights(20, 4 << 20);"
    for attempt, refusal in (
        ("bytearray(2 << 30)", "MemoryError"),
        ("tempfile.TemporaryFile().write(bytes(8 << 20))", "File too large"),
        ("[open('/dev/null') for _ in range(100)]", "Too many open files"),
    ):
        done = subprocess.run([sys.executable, "-c", tries + attempt], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert refusal in done.stderr


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "data"), [("a.pdf", pdf("Tokens are", "rotated.")), ("a.DOCX", docx()), ("a.html", HTML)]
)
async def test_file_that_a_tenant_sent_is_found_by_the_text_it_is_converted_to(
    client: Any, keeper: Keeper, path: str, data: bytes
) -> None:
    assert await keeper.settle("acme", await client.send_file(path, data)) == "indexed"
    [passage] = (await keeper.indexer.store.passages(Scope("acme"), await _ids(keeper, path))).values()
    assert ("otated." in passage.text, passage.language) == (True, path[2:].lower())
    await keeper.settle("acme", await client.delete(path))
    assert await client.blobs() == 0


async def _ids(keeper: Keeper, path: str) -> Any:
    return (await keeper.indexer.store.revisions("acme", path))[path]


@pytest.mark.asyncio
async def test_text_of_a_web_page_is_converted_and_that_of_a_pdf_taken_as_it_is(client: Any, keeper: Keeper) -> None:
    for path, expected in (("a.html", "# Tokens\n\nRotated."), ("a.pdf", "<p>Rotated.</p>")):
        text = HTML.decode() if path == "a.html" else expected
        await keeper.settle("acme", await client.send(path, text))
        [passage] = (await keeper.indexer.store.passages(Scope("acme"), await _ids(keeper, path))).values()
        assert passage.text == expected


@pytest.mark.asyncio
async def test_file_that_cannot_be_converted_fails_with_the_reason_and_its_earlier_version_does_not_answer(
    client: Any, keeper: Keeper
) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(conversion.UNPACKED_BYTES + 1))
    await keeper.settle("acme", await client.send_file("a.docx", docx()))
    assert await keeper.settle("acme", await client.send_file("a.docx", bomb.getvalue())) == "failed"
    assert (await client.row("a.docx")).error == "it cannot be converted: it unpacks to 64 MiB; at most 64 are read"
    assert await keeper.settle("acme", await client.send_file("a.pdf", b"%PDF-1.7 broken")) == "failed"
    assert (await client.row("a.pdf")).error.startswith("it cannot be converted: ")
    assert await keeper.indexer.store.counts() == {}
