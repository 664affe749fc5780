"""worksite ingest and worksite knowledge: my files become documents, and what does not is said."""

import json

import pytest
from worksite.cli.knowledge.batches import MAX_DOCUMENTS, batches
from worksite.cli.knowledge.files import NothingThere, Text, _walk, origin
from worksite.common.messages import document_id


@pytest.fixture
def notes(tmp_path):
    """A folder with a note."""
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.md").write_text("# A\n")
    return folder


def sent(gateway):
    """Path -> document of everything that was sent."""
    bodies = gateway.sent("POST", "/v1/knowledge/documents")
    return {document["path"]: document for body in bodies for document in body["documents"]}


def test_a_folder_is_sent_under_its_name_and_waited_for(gateway, worksite, notes):
    (notes / "main.py").write_text("print('ä')\n")
    gateway.looks_until_indexed = 2
    done = worksite("ingest", notes, "--tag", "team", "--tag", "v1")
    assert done.exit_code == 0, done.stderr
    assert sent(gateway) == {
        "notes/deep/a.md": {"path": "notes/deep/a.md", "text": "# A\n", "tags": ["team", "v1", origin(notes)]},
        "notes/main.py": {"path": "notes/main.py", "text": "print('ä')\n", "tags": ["team", "v1", origin(notes)]},
    }
    assert done.stdout == "2 indexed\n"


def test_a_file_is_sent_under_its_name_whatever_its_suffix(gateway, worksite, tmp_path):
    (tmp_path / "NOTES.strange").write_text("text")
    assert worksite("ingest", tmp_path / "NOTES.strange").exit_code == 0
    assert list(sent(gateway)) == ["NOTES.strange"]


def test_the_current_folder_has_its_own_name(gateway, worksite, tmp_path):
    (tmp_path / "here").mkdir(exist_ok=True)
    (tmp_path / "here" / "a.md").write_text("a")
    assert worksite("ingest", ".").exit_code == 0
    assert list(sent(gateway)) == ["here/a.md"]


def test_what_cannot_be_indexed_is_listed_and_stops_nothing(gateway, worksite, notes):
    (notes / "picture.png").write_bytes(b"\x89PNG")
    (notes / "latin.txt").write_bytes("ä".encode("latin-1"))
    (notes / "zeros.txt").write_bytes(b"a\0b")
    (notes / "blank.md").write_text(" \n")
    (notes / "large.md").write_text("x" * ((2 << 20) + 1))
    (notes / "control\x07.md").write_text("x")
    (notes / "link.md").symlink_to("/etc/hostname")
    done = worksite("ingest", notes)
    assert done.exit_code == 0
    assert list(sent(gateway)) == ["notes/deep/a.md"]
    reasons = dict(line.removeprefix("skipped  ").split(": ", 1) for line in done.stdout.splitlines()[:-1])
    assert reasons["notes/picture.png"] == "not known as text or source code (.png)"
    assert reasons["notes/latin.txt"].startswith("not UTF-8 text")
    assert reasons["notes/zeros.txt"] == "binary"
    assert reasons["notes/blank.md"] == "empty"
    assert reasons["notes/large.md"] == "2.0 MiB; at most 2 MiB are indexed"
    assert "control characters" in done.stdout
    assert reasons["notes/link.md"] == "a link"
    assert done.stdout.splitlines()[-1] == "1 indexed, 7 skipped"


def test_files_to_convert_are_sent_whole_and_what_becomes_of_them_is_told(gateway, worksite, notes):
    (notes / "paper.pdf").write_bytes(b"%PDF\0\xff")
    (notes / "old.html").write_bytes("ä".encode("latin-1"))
    (notes / "bad.docx").write_bytes(b"no zip")
    (notes / "nothing.pdf").write_bytes(b"")
    with (notes / "large.pdf").open("wb") as large:
        large.truncate((15 << 20) + 1)
    gateway.unreadable = {"notes/bad.docx": "it is no DOCX file"}
    gateway.not_taken = {"notes/old.html"}
    done = worksite("ingest", notes, "--tag", "team")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "skipped  notes/large.pdf: 15.0 MiB; at most 15 MiB are indexed",
        "skipped  notes/nothing.pdf: empty",
        "failed   notes/bad.docx: it is no DOCX file",
        "failed   notes/old.html: Nothing fits: no file fits",
        "2 indexed, 2 failed, 2 skipped",
    ]
    paper = gateway.documents[document_id("notes/paper.pdf")]
    assert paper["tags"] == ["team", origin(notes)]
    assert any(b"\r\n\r\n%PDF\0\xff\r\n" in body for *_, body in gateway.requests)


def test_many_skipped_files_are_counted_by_reason(gateway, worksite, notes):
    for number in range(30):
        (notes / f"{number}.png").write_bytes(b"")
    lines = worksite("ingest", notes).stdout.splitlines()
    assert len(lines) == 22
    assert lines[-2] == "skipped  … 30 in all, most of them: 30 not known as text or source code (.png)"


def test_a_document_that_fails_is_named_with_its_reason_and_the_exit_code_says_so(gateway, worksite, notes):
    (notes / "b.md").write_text("# B\n")
    gateway.unreadable = {"notes/b.md": "no chunk fits"}
    done = worksite("ingest", notes)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["failed   notes/b.md: no chunk fits", "1 indexed, 1 failed"]


def test_git_decides_what_belongs_to_a_repository(gateway, worksite, repository):
    mine = repository()
    mine.write(".gitignore", "secret.md\n")
    mine.write("secret.md", "token")
    mine.write(".github/flow.yml", "on: push")
    mine.write("gone.md", "gone")
    mine.commit()
    mine("rm", "-q", "--cached", "secret.md")
    mine.write("new.md", "new")
    (mine.path / "gone.md").unlink()
    worksite("ingest", mine.path)
    assert sorted(sent(gateway)) == ["mine/.github/flow.yml", "mine/new.md"]


def test_without_a_repository_hidden_and_made_files_stay_out(gateway, worksite, notes):
    for name in (".env.md", ".obsidian/a.md", "node_modules/a.md", "__pycache__/a.md"):
        (notes / name).parent.mkdir(exist_ok=True)
        (notes / name).write_text("x")
    worksite("ingest", notes)
    assert list(sent(gateway)) == ["notes/deep/a.md"]


def test_two_files_that_would_be_one_document_are_refused(gateway, worksite, tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent / "docs").mkdir(parents=True)
        (tmp_path / parent / "docs" / "x.md").write_text(parent)
    done = worksite("ingest", tmp_path / "a" / "docs", tmp_path / "b" / "docs")
    assert (done.exit_code, gateway.requests) == (1, [])
    assert "would both be docs/x.md" in done.stderr


def test_a_path_that_does_not_exist_is_refused(gateway, worksite, notes):
    done = worksite("ingest", notes, notes / "none")
    assert (done.exit_code, gateway.requests) == (1, [])
    assert "there is no" in done.stderr


def test_nothing_to_index_is_no_success(gateway, worksite, tmp_path):
    (tmp_path / "empty").mkdir()
    done = worksite("ingest", tmp_path / "empty")
    assert (done.exit_code, done.stdout) == (1, "0 indexed\n")


def test_prune_removes_what_is_gone_below_the_folder_and_nothing_else(gateway, worksite, notes, tmp_path):
    (notes / "b.md").write_text("b")
    (notes / "c.md").write_text("c")
    (tmp_path / "notes2").mkdir()
    (tmp_path / "notes2" / "d.md").write_text("d")
    worksite("ingest", notes, tmp_path / "notes2")
    (notes / "b.md").unlink()
    (notes / "c.md").write_bytes(b"\xff")
    gateway.looks_until_indexed = 1
    done = worksite("ingest", notes, "--prune")
    assert done.stdout.splitlines()[-1] == "1 indexed, 1 skipped, 1 removed"
    left = sorted(document["path"] for document in gateway.documents.values())
    assert left == ["notes/c.md", "notes/deep/a.md", "notes2/d.md"]


def test_prune_leaves_what_another_folder_of_the_same_name_brought(gateway, worksite, notes, tmp_path):
    other = tmp_path / "other" / "notes"
    other.mkdir(parents=True)
    (other / "mine.md").write_text("mine")
    worksite("ingest", notes)
    gateway.looks_until_indexed = 1
    done = worksite("ingest", other, "--prune")
    assert done.exit_code == 0
    assert "1 documents of such paths came from elsewhere and were kept" in done.stderr
    assert sorted(each["path"] for each in gateway.documents.values()) == ["notes/deep/a.md", "notes/mine.md"]


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path):
    """What seems to be gone would be pruned. (Root may read everything, so the folder is one that vanished.)"""
    with pytest.raises(NothingThere, match="vanished cannot be read"):
        list(_walk(tmp_path / "vanished"))


def test_batches_keep_both_limits_and_lose_nothing():
    texts = [Text(f"{number}.md", "é" * 40) for number in range(MAX_DOCUMENTS * 2 + 1)]
    bodies = list(batches(texts, ("t",)))
    assert [len(json.loads(body)["documents"]) for body in bodies] == [MAX_DOCUMENTS, MAX_DOCUMENTS, 1]
    small = list(batches(texts[:10], (), max_bytes=400))
    assert all(len(body) <= 400 for body in small)
    assert [doc["path"] for body in small for doc in json.loads(body)["documents"]] == [
        each.path for each in texts[:10]
    ]


def test_documents_are_listed_with_their_states(gateway, worksite, notes):
    for number in range(5):
        (notes / f"{number}.md").write_text("x")
    gateway.unreadable = {"notes/3.md": "no chunk fits"}
    worksite("ingest", notes)
    lines = worksite("knowledge", "ls").stdout.splitlines()
    assert len(lines) == 6
    (failed,) = worksite("knowledge", "ls", "--status", "failed").stdout.splitlines()
    assert failed == f"{document_id('notes/3.md')}  failed    notes/3.md  (no chunk fits)"


def test_documents_are_removed_by_path_or_id(gateway, worksite, notes):
    (notes / "b.md").write_text("b")
    worksite("ingest", notes)
    done = worksite("knowledge", "rm", "notes/b.md", "unknown.md", document_id("notes/deep/a.md"))
    assert done.exit_code == 1
    assert "there is no document unknown.md" in done.stderr
    assert gateway.documents == {}


def test_an_empty_knowledge_base_says_so(gateway, worksite):
    done = worksite("knowledge", "ls")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no documents\n")


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b" \n", "empty"), (b"a\0b", "binary")])
def test_a_file_that_was_named_itself_and_cannot_be_taken_is_an_error_with_its_reason(
    gateway, worksite, notes, content, reason
):
    (notes / "named.md").write_bytes(content)
    done = worksite("ingest", notes / "deep", notes / "named.md")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0] == f"skipped  named.md: {reason}"
    assert done.stdout.splitlines()[-1] == "1 indexed, 1 skipped"


def test_what_does_not_fit_is_wrong_usage(gateway, worksite, notes):
    gateway.not_taken = {"notes/deep/a.md"}
    assert worksite("ingest", notes).exit_code == 2
