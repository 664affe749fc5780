"""Archives of branches are anybody's: what is not a source is left out, and what is too much stays where it is."""

from __future__ import annotations

import io
import json
import stat
import zipfile

import pytest
from worksite.rag.confined import Refused
from worksite.rag.confining import Confined, CutShort, NotDone
from worksite.rag.unpacking import MOST_BYTES, MOST_FILES, OUTPUT_BYTES, sources_in


def archive(files: dict[str, bytes | str], link: str | None = None) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as opened:
        for path, content in files.items():
            opened.writestr(path, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(info, "/etc/passwd.py")
    return whole.getvalue()


def test_sources_and_prose_are_picked_and_nothing_else() -> None:
    given = {
        "src/a.py": "x = 1\n",
        "README.md": "# Shop\n",
        "logo.png": b"\x89PNG",
        "paper.pdf": b"%PDF",
        "latin.txt": b"\xe4",
        "zero.py": b"a\0b",
        "blank.py": " \n",
        "empty.py": "",
        ".env.sh": "TOKEN=1",
        ".github/flow.yml": "on: push",
        "node_modules/left-pad/index.js": "x",
    }
    assert sources_in(archive(given, link="link.py")) == {
        "texts": {"src/a.py": "x = 1\n", "README.md": "# Shop\n"},
        "left_out": 0,
    }


def test_of_more_than_a_task_may_leave_the_smallest_are_picked() -> None:
    many = sources_in(archive({f"{n:03}.py": "x" * (n + 1) for n in range(MOST_FILES + 3)}))
    assert (many["left_out"], list(many["texts"])[-1]) == (3, f"{MOST_FILES - 1:03}.py")  # pyright: ignore
    large = sources_in(archive({"a.py": "x" * (MOST_BYTES - 1), "b.py": "y", "c.py": "z" * MOST_BYTES}))
    assert (large["left_out"], sorted(large["texts"])) == (1, ["a.py", "b.py"])  # pyright: ignore


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04 no archive", archive({"a.py": "x" * 100})[:60]],
    ids=["empty", "no archive", "cut off"],  # an archive holds the time, which may differ between xdist's workers
)
def test_archive_that_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="no zip archive"):
        sources_in(data)


def test_archive_that_lies_about_its_sizes_is_refused() -> None:
    whole = bytearray(archive({"a.py": bytes(50 << 20)}))
    entry = whole.rfind(b"PK\x01\x02")
    whole[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    with pytest.raises(Refused, match="no zip archive"):
        sources_in(bytes(whole))


@pytest.mark.asyncio
async def test_archives_are_unpacked_in_a_process_that_may_not_take_much() -> None:
    unpacker = Confined("worksite.rag.unpacking", OUTPUT_BYTES)
    said = await unpacker.run(archive({"ä.py": "é = 1\n"}), "branch")
    assert json.loads(said) == {"texts": {"ä.py": "é = 1\n"}, "left_out": 0}
    with pytest.raises(NotDone, match="it is no zip archive") as refused:
        await unpacker.run(b"", "branch")
    assert not isinstance(refused.value, CutShort)


@pytest.mark.asyncio
async def test_work_that_is_killed_or_runs_out_of_time_is_told_apart_from_a_file_that_is_refused() -> None:
    deep = b"<table>" + b"<tr><td>" * 1_000_000
    with pytest.raises(CutShort, match=r"it takes longer than 0\.01 s"):
        await Confined("worksite.rag.unpacking", OUTPUT_BYTES, seconds=0.01).run(archive({}), "branch")
    with pytest.raises(CutShort, match="it takes more processor time or memory"):
        await Confined("worksite.rag.conversion", OUTPUT_BYTES, processor_seconds=1).run(deep, ".html")
