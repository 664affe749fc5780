"""Bundles to plain files: hostile commits leave nothing behind but what they may."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from worksite.common.errors import StepRefused
from worksite.validator import tree as tree_module
from worksite.validator.domain.differences import changed_files
from worksite.validator.tree import Repository, Tree

pytestmark = pytest.mark.asyncio


async def export(project: Any, tmp_path: Path, commit: str) -> Tree:
    repository = await Repository.create(tmp_path / "repository")
    await repository.add(project.bundle())
    return await repository.export(commit, tmp_path / "tree")


def git(directory: Path, *arguments: str, stdin: bytes = b"") -> str:
    return (
        subprocess.run(["git", *arguments], cwd=directory, input=stdin, capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )


def unpack(repository: Path) -> None:
    """Turn packs into one file per object, so that single ones can be lost."""
    for pack in (repository / "objects" / "pack").glob("*.pack"):
        content = pack.read_bytes()
        shutil.rmtree(pack.parent)
        git(repository, "unpack-objects", "-q", stdin=content)


async def test_files_arrive_with_their_content_and_executable_bit(project: Any, tmp_path: Path) -> None:
    project.commit({"a.txt": "old"})
    head = project.commit({"a.txt": "new\r\n", "bin/run": "#!/bin/sh\n", "same": "new\r\n"})
    project.git("update-index", "--chmod=+x", "bin/run")
    head = project.commit_index()

    tree = await export(project, tmp_path, head)

    assert tree.files == ("a.txt", "bin/run", "same")
    assert (tree.path / "a.txt").read_bytes() == b"new\r\n"
    assert (tree.path / "bin/run").stat().st_mode & 0o111
    assert not (tree.path / "a.txt").stat().st_mode & 0o111
    assert not (tree.path / ".git").exists()


async def test_a_patch_names_every_file_as_the_tree_does(project: Any, tmp_path: Path) -> None:
    names = ['a"b.py', "back\\slash.py", "sp ace.py", "ü.py", '"', "x\ty\x01.py"]
    head = project.commit(dict.fromkeys(names, "x\n"))
    repository = await Repository.create(tmp_path / "patched")
    await repository.add(project.bundle())

    patch = await repository.patch(None, head)

    assert {file.path for file in changed_files(patch)} == set(names)
    for length in range(len(patch)):
        changed_files(patch[:length])


async def test_attributes_and_filters_of_the_candidate_take_no_effect(project: Any, tmp_path: Path) -> None:
    head = project.commit(
        {".gitattributes": "* eol=crlf export-subst ident\nb export-ignore\n", "a": "$Id$\n", "b": "b\n"}
    )

    tree = await export(project, tmp_path, head)

    assert (tree.path / "a").read_bytes() == b"$Id$\n"
    assert "b" in tree.files


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "a.txt"])
async def test_a_symbolic_link_is_refused_and_never_written(project: Any, tmp_path: Path, target: str) -> None:
    project.commit({"a.txt": "a"})
    oid = project.git("hash-object", "-w", "--stdin", stdin=target.encode())
    project.git("update-index", "--add", "--cacheinfo", f"120000,{oid},link")
    head = project.commit_index()

    tree = await export(project, tmp_path, head)

    assert [(each.path, "symbolic link" in each.reason) for each in tree.refused] == [("link", True)]
    assert not (tree.path / "link").is_symlink()
    assert tree.files == ("a.txt",)


async def test_a_submodule_is_refused(project: Any, tmp_path: Path) -> None:
    first = project.commit({"a.txt": "a"})
    project.git("update-index", "--add", "--cacheinfo", f"160000,{first},module")
    head = project.commit_index()

    tree = await export(project, tmp_path, head)

    assert [each.path for each in tree.refused] == ["module"]


async def test_a_file_beyond_the_cap_is_refused_by_name(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "MAX_FILE_BYTES", 10)
    head = project.commit({"a.txt": "a", "big": "x" * 11})

    tree = await export(project, tmp_path, head)

    assert [each.path for each in tree.refused] == ["big"]
    assert not (tree.path / "big").exists()


@pytest.mark.parametrize("cap", ["MAX_TREE_BYTES", "MAX_FILES"])
async def test_a_tree_beyond_the_caps_is_refused_as_a_whole(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cap: str
) -> None:
    monkeypatch.setattr(tree_module, cap, 1)
    head = project.commit({"a": "same", "b": "same"})

    with pytest.raises(StepRefused) as refusal:
        await export(project, tmp_path, head)

    assert refusal.value.code == "tree-too-large"


async def test_a_name_that_could_confuse_a_reader_is_refused(project: Any, tmp_path: Path) -> None:
    head = project.commit({"a\nb": "x", "fine": "y"})

    tree = await export(project, tmp_path, head)

    assert tree.files == ("fine",)
    assert tree.refused[0].path == "a\\nb"


@pytest.mark.parametrize("bundle", [b"", b"not a bundle", b"# v2 git bundle\n" + b"0" * 40 + b" refs/heads/x\n\n"])
async def test_a_broken_bundle_is_refused_with_a_reason(tmp_path: Path, bundle: bytes) -> None:
    repository = await Repository.create(tmp_path / "repository")

    with pytest.raises(StepRefused) as refusal:
        await repository.add(bundle)

    assert refusal.value.code == "bundle-invalid"


async def test_a_commit_that_is_not_in_the_bundle_is_refused(project: Any, tmp_path: Path) -> None:
    project.commit({"a": "a"})

    with pytest.raises(StepRefused) as refusal:
        await export(project, tmp_path, "1" * 40)

    assert refusal.value.code == "commit-unknown"


async def test_hooks_and_configuration_of_the_machine_do_not_run(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n\thooksPath = {hook.parent}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))

    await export(project, tmp_path, project.commit({"a": "a"}))

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", ["100644", "120000", "100755"])
@pytest.mark.parametrize(
    "name",
    [
        b"li\xffnk",
        b"a" * 300,
        b"new\nline",
        b"escape\x1b[31m",
        b"tab\tin",
        "right\u202eleft".encode(),
        b"deep/" * 150 + b"file",
        b"long/" + b"b" * 250 + b"/" + b"c" * 250 + b"/" + b"d" * 250 + b"/" + b"e" * 250 + b"/" + b"f" * 250,
    ],
)
async def test_an_unusable_name_is_refused_and_can_be_reported(
    project: Any, tmp_path: Path, name: bytes, mode: str
) -> None:
    project.commit({"fine": "y"})
    oid = project.git("hash-object", "-w", "--stdin", stdin=b"x")
    project.git("update-index", "-z", "--index-info", stdin=b"%s %s\t%s\0" % (mode.encode(), oid.encode(), name))

    tree = await export(project, tmp_path, project.commit_index())

    assert tree.files == ("fine",)
    assert [each.reason for each in tree.refused] == ["has an unusable name"]
    assert tree.refused[0].path.isascii()
    assert tree.refused[0].path.isprintable()


async def test_a_commit_that_unfolds_without_end_is_refused_early(project: Any, tmp_path: Path) -> None:
    tree = project.git(
        "mktree", stdin=b"100644 blob %s\tf\n" % project.git("hash-object", "-w", "--stdin", stdin=b"").encode()
    )
    for _ in range(10):
        tree = project.git("mktree", stdin=b"".join(b"040000 tree %s\t%d\n" % (tree.encode(), n) for n in range(10)))
    bomb = project.git("commit-tree", tree, "-m", "bomb")
    project.git("update-ref", "refs/heads/main", bomb)

    with pytest.raises(StepRefused) as refusal:
        await export(project, tmp_path, bomb)

    assert refusal.value.code == "tree-too-large"


async def test_a_commit_with_missing_objects_is_refused(project: Any, tmp_path: Path) -> None:
    head = project.commit({"a": "some content"})
    repository = await Repository.create(tmp_path / "repository")
    await repository.add(project.bundle())
    tree = git(tmp_path / "repository", "rev-parse", f"{head}^{{tree}}")
    blob = git(tmp_path / "repository", "rev-parse", f"{head}:a")
    unpack(tmp_path / "repository")
    for lost in (blob, tree):
        (tmp_path / "repository" / "objects" / lost[:2] / lost[2:]).unlink()

        with pytest.raises(StepRefused) as refusal:
            await repository.export(head, tmp_path / f"tree-{lost}")

        assert refusal.value.code == "bundle-invalid"
