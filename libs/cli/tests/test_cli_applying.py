"""worksite apply: a task's branch comes into my repository, and nothing of mine is lost or run."""

import asyncio

import pytest
from worksite.cli.repository.applying import _make
from worksite.cli.repository.git import Git

THEIRS = "worksite/0123"


@pytest.fixture
def mine(repository):
    found = repository()
    found.commit("first", app_py="print(1)\n")
    return found


@pytest.fixture
def offered(gateway, tmp_path, repository, mine):
    """Make a task offer a branch of a clone of mine; returns the task and the branch's head."""

    def offer(build=None, status="completed", verdict="PASS", route="feature", branch=THEIRS):
        clone = repository("clone")
        clone("fetch", "-q", mine.path, "main")
        clone("reset", "-q", "--hard", "FETCH_HEAD")
        clone("switch", "-q", "-c", branch)
        clone.write("new.py", "print(2)\n")
        if build:
            build(clone)
        head = clone.commit("theirs")
        gateway.artifacts["branch.bundle"] = clone.bundle(tmp_path / "b.bundle", "HEAD", branch)
        return gateway.add_task(status, verdict, route=route, artifacts=["branch.bundle"]), head

    return offer


def test_the_branch_is_there_and_my_files_are_as_they_were(worksite, offered, mine):
    task, head = offered()
    mine.write("app.py", "print('not committed')\n")
    mine("tag", "mine")
    done = worksite("apply", task, mine.path)
    assert done.exit_code == 0, done.stderr
    assert mine("rev-parse", THEIRS) == head
    assert mine("branch", "--show-current") == "main"
    assert (mine.path / "app.py").read_text() == "print('not committed')\n"
    assert not (mine.path / "new.py").exists()
    assert f"git diff main...{THEIRS}" in done.stdout
    assert f"git merge {THEIRS}" in done.stdout


def test_nothing_but_the_branch_is_new(worksite, offered, mine):
    def more(clone):
        clone("tag", "v1")
        clone("branch", "other")

    task, _ = offered(more)
    before = set(mine("for-each-ref", "--format=%(refname)").splitlines())
    worksite("apply", task, mine.path)
    assert set(mine("for-each-ref", "--format=%(refname)").splitlines()) - before == {f"refs/heads/{THEIRS}"}
    assert not (mine.path / ".git" / "FETCH_HEAD").exists()


@pytest.mark.parametrize("options", [[], ["--switch"]])
def test_no_hook_of_mine_runs(worksite, offered, mine, options):
    for name in ("reference-transaction", "post-checkout", "post-merge", "post-rewrite"):
        hook = mine.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{mine.path}/ran-{name}'\n")
        hook.chmod(0o755)
    task, _ = offered()
    assert worksite("apply", task, mine.path, *options).exit_code == 0
    assert not list(mine.path.glob("ran-*"))


def test_git_is_not_led_astray_by_the_variables_of_a_hook(worksite, offered, mine, repository, monkeypatch):
    other = repository("other")
    task, _ = offered()
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    done = worksite("apply", task, mine.path)
    monkeypatch.undo()
    assert done.exit_code == 0, done.stderr
    assert THEIRS in mine("branch")
    assert THEIRS not in other("branch")


def test_switch_checks_it_out(worksite, offered, mine):
    task, head = offered()
    done = worksite("apply", task, mine.path, "--switch")
    assert done.exit_code == 0, done.stderr
    assert (mine("branch", "--show-current"), mine("rev-parse", "HEAD")) == (THEIRS, head)
    assert (mine.path / "new.py").exists()


@pytest.mark.parametrize("stage", [False, True])
def test_switch_refuses_over_uncommitted_changes(worksite, offered, mine, stage):
    task, _ = offered()
    mine.write("app.py", "print('mine')\n")
    if stage:
        mine("add", "app.py")
    done = worksite("apply", task, mine.path, "--switch")
    assert done.exit_code == 1
    assert "uncommitted changes in app.py" in done.stderr
    assert THEIRS not in mine("branch")
    assert (mine.path / "app.py").read_text() == "print('mine')\n"


@pytest.mark.parametrize(
    ("name", "ignored"), [("new.py", None), ("new.py", "new.py"), ("folder", None), ("folder", "folder")]
)
def test_switch_refuses_to_overwrite_a_file_that_no_commit_holds(worksite, offered, mine, name, ignored):
    task, _ = offered(lambda clone: clone.write("folder/file.py", ""))
    mine.write(name, "mine\n")
    if ignored:
        mine.write(".git/info/exclude", f"{ignored}\n")
    done = worksite("apply", task, mine.path, "--switch")
    assert done.exit_code == 1
    assert f"{THEIRS} is there, but was not checked out: it would overwrite {name}" in done.stderr
    assert (mine.path / name).read_text() == "mine\n"
    assert mine("branch", "--show-current") == "main"


def test_switch_refuses_to_replace_a_folder_of_mine_by_a_file(worksite, offered, mine):
    task, _ = offered(lambda clone: clone.write("place", "a file"))
    mine.write("place/notes.txt", "mine\n")
    done = worksite("apply", task, mine.path, "--switch")
    assert "it would overwrite place/notes.txt" in done.stderr
    assert (mine.path / "place" / "notes.txt").read_text() == "mine\n"


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick"])
def test_switch_refuses_in_the_middle_of_an_operation(worksite, offered, mine, operation):
    task, _ = offered()
    git = mine.path / ".git"
    if operation == "rebase":
        (git / "rebase-merge").mkdir()
    else:
        head = "MERGE_HEAD" if operation == "merge" else "CHERRY_PICK_HEAD"
        (git / head).write_text(mine("rev-parse", "HEAD") + "\n")
    done = worksite("apply", task, mine.path, "--switch")
    assert done.exit_code == 1
    assert f"in the middle of a {operation}" in done.stderr
    assert THEIRS not in mine("branch")


def test_the_same_again_changes_nothing(worksite, offered, mine):
    task, head = offered()
    assert worksite("apply", task, mine.path, "--switch").exit_code == 0
    assert worksite("apply", task, mine.path).exit_code == 0
    assert mine("rev-parse", THEIRS) == head


def test_a_branch_that_is_behind_moves_forward(worksite, offered, mine):
    mine("branch", THEIRS)
    task, head = offered()
    assert worksite("apply", task, mine.path).exit_code == 0
    assert mine("rev-parse", THEIRS) == head


def test_a_branch_with_other_work_is_not_overwritten(worksite, offered, mine):
    task, head = offered()
    mine("switch", "-q", "-c", THEIRS)
    ours = mine.commit("my own")
    mine("switch", "-q", "main")
    done = worksite("apply", task, mine.path)
    assert done.exit_code == 1
    assert "--branch NAME" in done.stderr
    assert mine("rev-parse", THEIRS) == ours
    assert worksite("apply", task, mine.path, "--branch", "second").exit_code == 0
    assert mine("rev-parse", "second") == head


def test_a_branch_that_is_checked_out_does_not_move_under_my_files(worksite, offered, mine):
    mine("switch", "-q", "-c", THEIRS)
    task, _ = offered(branch="worksite/other")
    before = mine("rev-parse", "HEAD")
    done = worksite("apply", task, mine.path, "--branch", THEIRS)
    assert done.exit_code == 1
    assert "is checked out" in done.stderr
    assert mine("rev-parse", "HEAD") == before


def test_a_name_that_is_none_is_refused(worksite, offered, mine):
    task, _ = offered()
    assert "is no name for a branch" in worksite("apply", task, mine.path, "--branch", "a..b").stderr


@pytest.mark.parametrize("exists", [False, True])
def test_a_new_or_empty_folder_becomes_a_repository(worksite, offered, tmp_path, exists):
    target = tmp_path / "fresh"
    if exists:
        target.mkdir()
    task, head = offered()
    done = worksite("apply", task, target)
    assert done.exit_code == 0, done.stderr
    assert (target / "new.py").exists()
    assert (target / ".git" / "refs" / "heads" / THEIRS).read_text().strip() == head
    assert not (target / ".git" / "hooks").exists()


def test_a_project_of_its_own_comes_as_a_branch_and_that_is_said(worksite, offered, repository):
    task, head = offered()
    other = repository("other")
    other.commit("unrelated")
    done = worksite("apply", task, other.path)
    assert done.exit_code == 0, done.stderr
    assert other("rev-parse", THEIRS) == head
    assert "nothing in common" in done.stdout
    assert "--allow-unrelated-histories" in done.stdout


def test_a_repository_without_commits_takes_the_branch(worksite, offered, repository):
    task, head = offered()
    new = repository("new")
    new.write("note.txt", "mine")
    done = worksite("apply", task, new.path)
    assert done.exit_code == 0, done.stderr
    assert new("rev-parse", THEIRS) == head


def test_a_folder_below_the_top_is_its_repository(worksite, offered, mine):
    mine.write("sub/x.py", "")
    task, head = offered()
    assert worksite("apply", task, mine.path / "sub").exit_code == 0
    assert mine("rev-parse", THEIRS) == head


def test_a_folder_with_files_that_is_no_repository_is_refused(worksite, offered, tmp_path):
    task, _ = offered()
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.txt").write_text("mine")
    done = worksite("apply", task, tmp_path / "plain")
    assert done.exit_code == 1
    assert "is not a git repository" in done.stderr
    assert [each.name for each in (tmp_path / "plain").iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("status", "verdict", "route", "said"),
    [
        ("failed", "FAIL", "feature", "ended FAIL: only a PASS is applied"),
        ("completed", "ENVIRONMENT", "feature", "ended ENVIRONMENT: only a PASS"),
        ("needs_input", None, "feature", "ended NEEDS_INPUT: only a PASS"),
        ("running", None, "feature", "has not ended yet"),
        ("completed", "PASS", "review", "a review, which makes no branch"),
    ],
)
def test_only_what_passed_is_applied(worksite, offered, mine, status, verdict, route, said):
    task, _ = offered(status=status, verdict=verdict, route=route)
    done = worksite("apply", task, mine.path)
    assert done.exit_code == 1
    assert said in done.stderr
    assert THEIRS not in mine("branch")


def test_unproved_takes_what_failed(worksite, offered, mine):
    task, head = offered(status="failed", verdict="FAIL")
    assert worksite("apply", task, mine.path, "--unproved").exit_code == 0
    assert mine("rev-parse", THEIRS) == head


def test_a_task_without_a_branch_says_so(gateway, worksite, mine):
    assert "has made no branch" in worksite("apply", gateway.add_task(), mine.path).stderr


@pytest.mark.parametrize("damage", ["no bundle", "cut off", "flipped"])
@pytest.mark.parametrize("place", ["mine", "fresh"])
def test_a_damaged_bundle_changes_nothing(gateway, worksite, offered, mine, tmp_path, damage, place):
    task, _ = offered()
    whole = gateway.artifacts["branch.bundle"]
    middle = len(whole) - 40
    flipped = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    gateway.artifacts["branch.bundle"] = {"no bundle": b"?", "cut off": whole[:-30], "flipped": flipped}[damage]
    done = worksite("apply", task, tmp_path / place)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert THEIRS not in mine("branch")
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("place", ["mine", "fresh"])
def test_a_broken_object_is_refused(worksite, offered, mine, tmp_path, place):
    def evil(clone):
        blob = clone("hash-object", "-w", "new.py")
        entry = clone.path / "entry"
        entry.write_bytes(b"100644 .git\0" + bytes.fromhex(blob))
        tree = clone("hash-object", "-w", "-t", "tree", "--literally", entry)
        clone("symbolic-ref", "HEAD", "refs/heads/scratch")
        clone("update-ref", f"refs/heads/{THEIRS}", clone("commit-tree", tree, "-p", "main", "-m", "evil"))

    task, _ = offered(evil)
    done = worksite("apply", task, tmp_path / place)
    assert done.exit_code == 1
    assert "hasDotgit" in done.stderr
    assert THEIRS not in mine("branch")
    assert not (tmp_path / "fresh").exists()


def test_a_bundle_with_another_branch_is_refused(worksite, offered, mine):
    task, _ = offered(branch="main2")
    done = worksite("apply", task, mine.path)
    assert done.exit_code == 1
    assert "should hold one branch worksite/" in done.stderr
    assert mine("branch", "--format=%(refname:short)") == "main"


async def _interrupted(mine, *command):
    """Give up a command of git that a filter holds up, in the middle of its work on the index."""
    lock = mine.path / ".git" / "index.lock"
    working = asyncio.create_task(Git(mine.path)(*command))
    async with asyncio.timeout(100):
        while not (lock.exists() and (mine.path / "filtering").exists()):
            await asyncio.sleep(0.01)
        assert not working.done()
        working.cancel()
        await asyncio.sleep(0)
        (mine.path / "go").touch()
        await asyncio.wait({working})
    assert working.cancelled()
    assert not lock.exists()


def _held_up(mine, kind):
    mine(
        "config",
        f"filter.slow.{kind}",
        f"touch '{mine.path}/filtering'; until [ -e '{mine.path}/go' ]; do :; done; cat",
    )
    mine.write(".gitattributes", "*.slow filter=slow\n")
    mine.write(".gitignore", "filtering\ngo\n")


@pytest.mark.asyncio
async def test_an_interruption_leaves_no_lock_behind(mine):
    _held_up(mine, "clean")
    mine.write("a.slow", "")
    await _interrupted(mine, "add", "a.slow")


@pytest.mark.asyncio
async def test_an_interruption_leaves_no_branch_half_checked_out(mine):
    _held_up(mine, "smudge")
    mine.commit("rules")
    mine("switch", "-q", "-c", THEIRS)
    mine.commit("files", **{"a.slow": "1", "b.txt": "2"})
    mine("switch", "-q", "main")
    await _interrupted(mine, "switch", "--quiet", THEIRS)
    assert mine("branch", "--show-current") == THEIRS
    assert mine("status", "--porcelain") == ""


def test_what_was_made_goes_again_and_what_it_links_to_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").write_text("")
    target = tmp_path / "new" / "deep"
    remove = _make(target)
    (target / "sub").mkdir()
    (target / "link").symlink_to(tmp_path / "mine")
    remove()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "kept").exists()
