"""Merge of work packages, on real repositories: a line of commits, the same each time, and no contradiction in it."""

from __future__ import annotations

import asyncio
import io
import itertools
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from worksite.builder.repository import Repository
from worksite.builder.testing import TASK, Desk, Origin, a_spec, build_command, run_git
from worksite.common.errors import StepRefused
from worksite.common.messages import Changeset, ImportedProject, PackageWork, WorkPackage

pytestmark = pytest.mark.asyncio
TEXT = "".join(f"line {n}\n" for n in range(30))
NAMES = ("one", "two", "three")
Edit = Callable[[Path], object]


def write(path: str, content: str | bytes) -> Edit:
    def edit(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)

    return edit


def replace(path: str, old: str, new: str) -> Edit:
    return lambda folder: write(path, (folder / path).read_text().replace(old, new))(folder)


def remove(path: str) -> Edit:
    return lambda folder: (folder / path).unlink()


def move(path: str, to: str) -> Edit:
    return lambda folder: (folder / path).rename(folder / to)


def executable(path: str) -> Edit:
    return lambda folder: (folder / path).chmod(0o755)


def link(path: str, to: str) -> Edit:
    return lambda folder: (folder / path).symlink_to(to)


def submodule(path: str, commit: str) -> Edit:
    def edit(folder: Path) -> None:
        (folder / path).mkdir(exist_ok=True)
        run_git(folder, "update-index", "--add", "--cacheinfo", f"160000,{commit * 40},{path}")

    return edit


@dataclass
class Site:
    """A project whose packages were built by somebody, each as one commit on the same start."""

    desk: Desk
    origin: Origin
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def begin(self, *edits: Edit) -> ImportedProject:
        for edit in (write("a.txt", TEXT), write("b.txt", TEXT), *edits):
            edit(self.origin.folder)
        self.origin.commit()
        self.project = await self.desk.import_git(self.origin.url)
        return self.project

    async def part(self, name: str, *edits: Edit, start: str | None = None) -> PackageWork:
        git, branch = self.origin.git, f"work-{next(self._numbers)}"
        git("switch", "--quiet", "--force", "-c", branch, start or self.project.base_sha)
        git("clean", "--quiet", "-ffdx")
        for edit in edits:
            edit(self.origin.folder)
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "-m", f"work on {name}")
        return PackageWork(package=name, changeset=await self._changeset(branch))

    async def _changeset(self, branch: str) -> Changeset:
        bundle = await self.desk.artifacts.put(self.origin.bundle("HEAD", branch), "application/x-git-bundle")
        head, base = self.origin.git("rev-parse", "HEAD"), self.project.base_sha
        given = {"branch": branch, "summary": "", "engine": f"model:{branch}", "files_changed": 1, "archive": bundle}
        return Changeset.model_validate(given | {"base_sha": base, "head_sha": head, "bundle": bundle})

    async def merge(self, *parts: PackageWork, **options: object) -> Changeset:
        packages = tuple(
            WorkPackage(id=name, title=f"The {name}", summary=name, criteria=("greets",)) for name in NAMES
        )
        spec = a_spec(None).model_copy(update={"packages": packages})
        reference = await self.desk.artifacts.put_message(spec)
        return await self.desk.build(build_command(reference, self.project, parts=parts, **options))

    async def clone(self, made: Changeset) -> Path:
        return await self.desk.unbundle(made.bundle, self.desk.state_dir.parent / f"clone-{next(self._numbers)}")


@pytest.fixture
def site(desk: Desk, origin: Origin) -> Site:
    return Site(desk, origin)


async def test_packages_become_a_line_of_commits_on_the_exact_base_in_the_order_of_the_spec(site: Site) -> None:
    project = await site.begin()
    parts = [await site.part(name, write(f"{name}.txt", name)) for name in NAMES]
    made = await site.merge(*parts)

    clone = await site.clone(made)
    subjects = run_git(clone, "log", "--reverse", "--format=%s|%an|%cI|%(trailers:key=Worksite-Package)", "--no-merges")
    assert subjects.replace("\n\n", "\n").splitlines()[1:] == [
        f"The {name}|Worksite|2025-09-01T12:00:00+00:00|Worksite-Package: {name}" for name in NAMES
    ]
    assert run_git(clone, "rev-parse", "HEAD", "HEAD~3").split() == [made.head_sha, project.base_sha]
    assert "Made by model:work-0." in run_git(clone, "log", "-1", "--format=%B", "HEAD~2")
    assert (made.base_sha, made.branch, made.engine) == (project.base_sha, f"worksite/{TASK}", "git")
    assert (made.files_changed, made.conflicts) == (3, ())
    assert made.summary == "Greeting service: merged The one, The two, The three"
    assert site.desk.leftovers() == []


async def test_whichever_order_the_parts_come_in_and_however_often_the_same_changeset_is_made(site: Site) -> None:
    await site.begin()
    edits = (replace("a.txt", "line 1\n", "ONE\n"), replace("a.txt", "line 28\n", "TWO\n"), write("c.txt", "three"))
    parts = [await site.part(name, edit) for name, edit in zip(NAMES, edits, strict=True)]
    made = [await site.merge(*order) for order in (parts, parts[::-1], parts)]
    assert made[0] == made[1] == made[2]
    assert not made[0].conflicts


async def test_archive_and_patch_hold_what_the_line_holds(site: Site) -> None:
    project = await site.begin()
    parts = [
        await site.part("one", write("data.bin", bytes(range(256))), replace("a.txt", "line 3\n", "3\r\n")),
        await site.part("two", replace("a.txt", "line 27\n", "")),
    ]
    made = await site.merge(*parts)
    clone = await site.clone(made)
    archive = zipfile.ZipFile(io.BytesIO(await site.desk.artifacts.get(made.archive)))
    assert {name: archive.read(name) for name in archive.namelist()} == {
        name: (clone / name).read_bytes() for name in run_git(clone, "ls-files").splitlines()
    }
    assert made.patch
    (clone.parent / "merged.patch").write_bytes(await site.desk.artifacts.get(made.patch))
    run_git(clone, "switch", "--quiet", "--detach", project.base_sha)
    run_git(clone, "am", "--quiet", "--keep-cr", str(clone.parent / "merged.patch"))
    assert run_git(clone, "rev-parse", "HEAD^{tree}") == run_git(clone, "rev-parse", f"{made.head_sha}^{{tree}}")


A1, A2 = replace("a.txt", "line 5\n", "five\n"), replace("a.txt", "line 5\n", "FIVE\n")
FAR, NEAR = replace("a.txt", "line 25\n", "25\n"), replace("a.txt", "line 6\n", "six\n")
CONTRADICTIONS: dict[str, tuple[Sequence[Edit], Sequence[Edit], Sequence[str]]] = {
    "the same line": ([A1], [A2], ["a.txt"]),
    "neighbouring lines": ([A1], [NEAR], ["a.txt"]),
    "two files": ([A1, write("c", "1")], [A2, write("c", "2"), write("d", "2")], ["a.txt", "c"]),
    "added by both": ([write("new.py", "x = 1\n")], [write("new.py", "y = 2\n")], ["new.py"]),
    "removed and changed": ([remove("a.txt")], [A2], ["a.txt"]),
    "changed and removed": ([A1], [remove("a.txt")], ["a.txt"]),
    "moved to two places": ([move("a.txt", "c.txt")], [move("a.txt", "d.txt")], ["a.txt", "c.txt", "d.txt"]),
    "two moved to one place": (
        [move("a.txt", "c.txt")],
        [move("b.txt", "c.txt"), replace("c.txt", "line 1\n", "b\n")],
        ["c.txt"],
    ),
    "added to a folder that was moved": ([move("lib", "pkg")], [write("lib/new.py", "x")], ["pkg/new.py"]),
    "added with two modes": ([write("x", "1"), executable("x")], [write("x", "1")], ["x"]),
    "a link and a file": ([link("x", "a.txt")], [write("x", "1")], ["x"]),
    "links to two places": ([link("x", "a.txt")], [link("x", "b.txt")], ["x"]),
    "a folder and a file": ([write("x/y", "1")], [write("x", "1")], ["x"]),
    "a file and a folder": ([write("x", "1")], [write("x/y", "1")], ["x"]),
    "two versions of a submodule": ([submodule("sub", "2")], [submodule("sub", "3")], ["sub"]),
    "a submodule and a file": ([submodule("x", "2")], [write("x", "1")], ["x"]),
    "bytes that are no text": ([write("data", b"\0\1")], [write("data", b"\0\2")], ["data"]),
    "names in two cases": ([write("Read.me", "1")], [write("read.me", "1")], ["read.me"]),
    "folders in two cases": ([write("Lib2/a", "1")], [write("lib2/b", "1")], ["lib2/b"]),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
async def test_a_package_that_contradicts_what_was_merged_stays_out_and_is_named_with_its_files(
    site: Site, kind: str
) -> None:
    await site.begin(write("data", b"\0\0"), write("lib/old.py", TEXT + "old"), submodule("sub", "1"))
    ours, theirs, files = CONTRADICTIONS[kind]
    first, second = await site.part("one", *ours), await site.part("two", *theirs)
    last = await site.part("three", write("three.txt", "3"))
    made = await site.merge(first, second, last)

    assert [(conflict.package, list(conflict.files)) for conflict in made.conflicts] == [("two", list(files))]
    assert made.summary == "Greeting service: merged The one, The three; to be built anew: two"
    without = await site.merge(first, last)
    assert made.head_sha == without.head_sha, "nothing of it is in the work, no mark of a conflict either"
    assert any(line.startswith("two contradicts what was merged before: ") for line in site.desk.progress)


AGREEMENTS: dict[str, tuple[Sequence[Edit], Sequence[Edit], dict[str, str | None]]] = {
    "two ends of a file": ([A1], [FAR], {"a.txt": TEXT.replace("line 5\n", "five\n").replace("line 25\n", "25\n")}),
    "moved and changed": ([move("a.txt", "c.txt")], [A1], {"c.txt": TEXT.replace("line 5\n", "five\n"), "a.txt": None}),
    "mode and content": ([executable("a.txt")], [A1], {"a.txt": TEXT.replace("line 5\n", "five\n")}),
    "removed by both": ([remove("a.txt")], [remove("a.txt"), write("c", "2")], {"a.txt": None, "c": "2"}),
    "added alike by both": ([write("c", "1")], [write("c", "1"), write("d", "2")], {"c": "1", "d": "2"}),
}


@pytest.mark.parametrize("kind", AGREEMENTS)
async def test_packages_that_do_not_contradict_each_other_are_merged_within_files_too(site: Site, kind: str) -> None:
    await site.begin()
    ours, theirs, files = AGREEMENTS[kind]
    made = await site.merge(await site.part("one", *ours), await site.part("two", *theirs))

    assert made.conflicts == ()
    clone = await site.clone(made)
    for name, content in files.items():
        assert (clone / name).exists() == (content is not None)
        assert content is None or (clone / name).read_text() == content


async def test_a_package_that_is_contained_in_others_makes_no_empty_commit(site: Site) -> None:
    project = await site.begin()
    same = [await site.part(name, A1) for name in ("one", "two")]
    made = await site.merge(*same, await site.part("three", write("c", "3")))
    clone = await site.clone(made)
    assert run_git(clone, "log", "--format=%s", f"{project.base_sha}..HEAD").splitlines() == ["The three", "The one"]
    assert made.conflicts == ()
    assert "two adds nothing to what was merged before" in site.desk.progress


async def test_packages_that_take_back_what_others_made_are_refused_as_nothing_made(site: Site) -> None:
    await site.begin()
    first = await site.merge(await site.part("one", A1))
    run_git(site.origin.folder, "fetch", "--quiet", str(await site.clone(first)), first.head_sha)
    back = await site.part("two", replace("a.txt", "five\n", "line 5\n"), start=first.head_sha)
    with pytest.raises(StepRefused, match="leaves every file as it was") as refused:
        await site.merge(back, previous=first)
    assert refused.value.code == "nothing_made"
    with pytest.raises(StepRefused, match="leaves every file as it was"):
        await site.merge(await site.part("one"), await site.part("two"))


@pytest.mark.parametrize(
    "attribute", ["merge=union", "-merge", "merge=binary", "merge=ours", "conflict-marker-size=2147483647"]
)
async def test_attributes_of_the_project_have_no_say_in_a_merge(site: Site, attribute: str) -> None:
    macro = f"[attr]mine {attribute}\n* mine\n*.txt {attribute}\n"
    await site.begin(write(".gitattributes", macro))
    one = await site.part("one", A1)
    made = await site.merge(one, await site.part("two", A2), await site.part("three", FAR))
    assert [conflict.package for conflict in made.conflicts] == ["two"]
    text = (await site.clone(made) / "a.txt").read_text()
    assert ("five\n" in text, "25\n" in text, "FIVE" in text) == (True, True, False)


@pytest.mark.parametrize("attribute", ["merge=union", "merge=trap"])
async def test_attributes_have_no_say_in_a_merge_where_git_reads_them_either(
    origin: Origin, tmp_path: Path, attribute: str
) -> None:
    """From 2.43 on git reads attributes of a bare repository too; every version reads those of a work tree."""
    base = origin.commit(a__txt="1\n", __gitattributes=f"* {attribute}\n")
    one = origin.commit(a__txt="one\n")
    origin.git("switch", "--quiet", "-c", "other", base)
    other = origin.commit(a__txt="other\n")
    repository = await Repository.create(tmp_path / "r.git")
    await repository.git("fetch", "--quiet", origin.folder, "+refs/*:refs/here/*", protocols="file")
    worktree = await repository.add_worktree(tmp_path / "tree", "work", one)
    # Nobody configures a driver in a repository of ours. This one would run, were it ever chosen:
    await repository.git("config", "merge.trap.driver", f"touch {tmp_path}/sprung")

    tried = await Repository(worktree.git).merge(one, other)

    assert (tried.clean, tried.files) == (False, ("a.txt",))
    assert not (tmp_path / "sprung").exists()


async def test_a_later_wave_goes_on_from_what_was_merged(site: Site) -> None:
    project = await site.begin()
    first = await site.merge(await site.part("one", A1), await site.part("two", A2))
    (conflict,) = first.conflicts
    clone = await site.clone(first)
    run_git(site.origin.folder, "fetch", "--quiet", str(clone), first.head_sha)
    parts = [
        await site.part(conflict.package, replace("a.txt", "five\n", "FIVE\n"), start=first.head_sha),
        await site.part("three", FAR, start=first.head_sha),
    ]
    second = await site.merge(*parts, previous=first)
    assert (second.base_sha, second.conflicts, second.files_changed) == (project.base_sha, (), 1)
    clone = await site.clone(second)
    assert run_git(clone, "rev-parse", "HEAD~2", "HEAD~3").split() == [first.head_sha, project.base_sha]
    assert "FIVE\n" in (clone / "a.txt").read_text()


async def test_a_part_that_does_not_go_on_from_what_was_merged_is_refused(site: Site) -> None:
    await site.begin()
    one, two = await site.part("one", A1), await site.part("two", FAR)
    merged = await site.merge(one)
    with pytest.raises(StepRefused, match=f"{two.changeset.head_sha} does not go on from {merged.head_sha}") as refused:
        await site.merge(two, previous=merged)
    assert refused.value.code == "stale_base"


async def test_parts_of_another_base_or_without_their_commit_or_of_no_package_are_refused(site: Site) -> None:
    await site.begin()
    one = await site.part("one", A1)
    elsewhere = one.changeset.model_copy(update={"base_sha": "1" * 40})
    missing = one.changeset.model_copy(update={"head_sha": "1" * 40})
    wrong = [
        (elsewhere, "one", "unknown_base"),
        (missing, "one", "unknown_base"),
        (one.changeset, "x", "unknown_package"),
    ]
    for changeset, name, code in wrong:
        with pytest.raises(StepRefused) as refused:
            await site.merge(PackageWork(package=name, changeset=changeset))
        assert refused.value.code == code
    with pytest.raises(StepRefused, match="the former waves's work is based on 1111"):
        await site.merge(one, previous=elsewhere)


async def test_what_is_told_of_a_conflict_fits_into_a_message(site: Site) -> None:
    await site.begin()
    names = [f"{'d' * 100}/{'e' * 100}/{n:02}.py" for n in range(30)]
    sides = [[write(name, side) for name in names] for side in ("1", "2")]
    made = await site.merge(await site.part("one", *sides[0]), await site.part("two", *sides[1]))
    (conflict,) = made.conflicts
    assert [name[-6:] for name in conflict.files] == [f"/{n:02}.py"[-6:] for n in range(10)]
    assert max(map(len, conflict.files)) == 200


@pytest.mark.parametrize("seed", range(4))
async def test_the_line_is_what_somebody_would_get_who_merged_by_hand(site: Site, seed: int) -> None:
    """Random edits, merged once by this service and once in a worktree by `git merge`, package by package."""
    chance = random.Random(seed)
    await site.begin()
    parts = [await site.part(name, *(_random_edit(chance) for _ in range(3))) for name in NAMES]
    made = await site.merge(*parts)
    out = {conflict.package for conflict in made.conflicts}

    git = site.origin.git
    git("switch", "--quiet", "--force", "--detach", site.project.base_sha)
    for part in parts:
        if part.package not in out:
            git("merge", "--quiet", "--no-ff", "--no-edit", part.changeset.head_sha)
        else:
            with pytest.raises(AssertionError):
                git("merge", "--quiet", "--no-ff", "--no-edit", part.changeset.head_sha)
            git("merge", "--abort")
    clone = await site.clone(made)
    assert run_git(clone, "rev-parse", "HEAD^{tree}") == git("rev-parse", "HEAD^{tree}")


def _random_edit(chance: random.Random) -> Edit:
    name, line = chance.choice(["a.txt", "b.txt"]), chance.randrange(30)
    kinds: list[Callable[[], Edit]] = [
        partial(_change_line, name, line, f"{chance.random()}\n"),
        partial(write, f"new-{chance.randrange(4)}.txt", f"{chance.random()}"),
    ]
    return chance.choice(kinds)()


def _change_line(name: str, line: int, text: str) -> Edit:
    def edit(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines(keepends=True)
        lines[line] = text
        (folder / name).write_text("".join(lines))

    return edit


async def test_merges_that_run_at_the_same_time_do_not_meet(site: Site) -> None:
    await site.begin()
    one, two = await site.part("one", A1), await site.part("two", FAR)
    both = await asyncio.gather(site.merge(one, task="1" * 32), site.merge(two, task="2" * 32))
    assert [made.summary.rpartition(" ")[2] for made in both] == ["one", "two"]
