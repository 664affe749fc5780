"""worksite worktrees: cut from the commit that is named, and nothing that was done in them is ever lost."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

ROLES = ("architect", "builder", "validator")
HOLD = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def mine(repository):
    found = repository("shop")
    found.commit("first", app_py="print(1)\n")
    return found


@pytest.fixture
def place(tmp_path):
    return lambda role: tmp_path / "shop-worktrees" / role


@pytest.fixture
def at(mine, place):
    """git in a worktree, and its files."""
    return lambda role: mine.at(place(role))


@pytest.fixture
def started(worksite, mine):
    assert worksite("worktrees", "start", mine.path).exit_code == 0
    return mine


def line_of(result, role):
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(role)]
    return line


def held_by_another_process(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_each_is_at_exactly_the_base_on_a_branch_of_its_own(worksite, mine, at):
    base = mine("rev-parse", "HEAD")
    done = worksite("worktrees", "start", mine.path)

    assert done.exit_code == 0, done.stderr
    assert base in done.stdout
    assert [at(role)("rev-parse", "HEAD") for role in ROLES] == [base] * 3
    assert [at(role)("branch", "--show-current") for role in ROLES] == [f"worksite/{role}" for role in ROLES]
    assert mine("branch", "--show-current") == "main"


def test_uncommitted_changes_are_not_part_of_it_and_that_is_said(worksite, mine, at):
    mine.write("app.py", "print('not yet')\n")
    done = worksite("worktrees", "start", mine.path)

    assert "not part of it (paths: 1)" in done.stderr
    assert (at("builder").path / "app.py").read_text() == "print(1)\n"


def test_a_branch_that_lacks_commits_of_its_upstream_is_no_base(worksite, mine, repository, tmp_path, place):
    clone = repository("clone")
    clone("remote", "add", "origin", mine.path)
    clone("fetch", "-q", "origin")
    clone("switch", "-q", "-C", "main", "--track", "origin/main")
    old = clone("rev-parse", "HEAD")
    new = mine.commit("second", app_py="print(2)\n")
    clone("fetch", "-q", "origin")

    refused = worksite("worktrees", "start", clone.path)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "worksite: main lacks 1 commits of origin/main: bring it up to date, or name the commit you want with --base\n"
    )
    assert not (tmp_path / "clone-worktrees").exists()
    for named, commit in (("origin/main", new), (old, old)):
        done = worksite("worktrees", "start", clone.path, "--base", named)
        assert done.exit_code == 0, done.stderr
        assert f"base {commit}" in done.stdout
        worksite("worktrees", "clean", clone.path)


def test_once_more_it_changes_nothing_and_another_base_is_refused(worksite, started, at):
    base = started("rev-parse", "HEAD")
    at("builder").commit("mine", b_py="1")
    again = worksite("worktrees", "start", started.path)
    assert again.stdout.count("(was there)") == 3

    started.commit("second")
    moved = worksite("worktrees", "start", started.path)
    assert moved.exit_code == 1
    assert f"architect is there, cut from {base[:12]} (main), and not from" in moved.stderr
    assert at("architect")("rev-parse", "HEAD") == base


def test_what_is_missing_is_made_and_what_is_there_stays(worksite, started, at, place):
    head = at("builder").commit("mine", b_py="1")
    started("worktree", "remove", place("validator"))
    done = worksite("worktrees", "start", started.path)

    assert done.exit_code == 0, done.stderr
    assert at("builder")("rev-parse", "HEAD") == head
    assert at("validator")("rev-parse", "HEAD") == started("rev-parse", "HEAD")


def test_a_branch_with_commits_of_its_own_is_never_begun_anew(worksite, started, at):
    kept = at("builder").commit("mine", b_py="1")
    worksite("worktrees", "clean", started.path)
    refused = worksite("worktrees", "start", started.path)

    assert refused.exit_code == 1
    assert "worksite/builder holds 1 commits that" in refused.stderr
    assert started("rev-parse", "worksite/builder") == kept
    started("merge", "-q", "worksite/builder")
    assert worksite("worktrees", "start", started.path).exit_code == 0
    assert at("validator")("rev-parse", "HEAD") == kept


def test_the_list_says_what_is_uncommitted_ahead_behind_and_in_use(worksite, started, at, place):
    at("architect").commit("mine", b_py="1")
    at("builder").write("new.py", "1")
    at("builder").write("deep/new.py", "1")
    at("builder")("config", "status.showUntrackedFiles", "no")
    started.commit("second")
    owner = held_by_another_process(place("validator"))
    try:
        listed = worksite("worktrees", "list", place("architect"))
    finally:
        owner.kill()
        owner.communicate()

    assert ": clean, 1 ahead, 1 behind main  " in line_of(listed, "architect")
    assert ": 2 uncommitted, 0 ahead, 1 behind main  " in line_of(listed, "builder")
    assert ": clean, 0 ahead, 1 behind main, in use  " in line_of(listed, "validator")


def test_work_in_progress_is_committed_to_its_branch_before_the_worktree_goes(worksite, started, at, tmp_path):
    builder = at("builder")
    builder.commit("mine", mine_py="1")
    builder.write("app.py", "print('changed')\n")
    builder.write("staged.py", "1")
    builder("add", "staged.py")
    builder.write("staged.py", "2")
    builder.write("deep/new.py", "3")
    (builder.path / "mine.py").unlink()
    done = worksite("worktrees", "clean", started.path)

    assert done.exit_code == 0, done.stdout
    assert not (tmp_path / "shop-worktrees").exists()
    assert started("worktree", "list").count("\n") == 0
    shown = [started("show", f"worksite/builder:{name}") for name in ("app.py", "staged.py", "deep/new.py")]
    assert shown == ["print('changed')", "2", "3"]
    assert started("log", "--format=%s", "main..worksite/builder") == (
        "Work in progress, kept by worksite worktrees clean\nStaged work, kept by worksite worktrees clean\nmine"
    )
    assert started("branch", "--format=%(refname:short)") == "main\nworksite/builder"


def test_somebody_without_a_name_loses_nothing_either(worksite, started, at, monkeypatch):
    started("config", "user.useConfigOnly", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    at("builder").write("new.py", "1")

    assert worksite("worktrees", "clean", started.path).exit_code == 0
    assert started("show", "worksite/builder:new.py") == "1"


def test_one_whose_lock_is_held_stays_until_its_holder_is_dead(worksite, started, at, place):
    at("builder").write("new.py", "1")
    owner = held_by_another_process(place("builder"))
    try:
        left = worksite("worktrees", "clean", started.path)
        assert left.exit_code == 1
        assert line_of(left, "builder").endswith("in use, left as it is")
        assert (place("builder") / "new.py").exists()
        assert not place("validator").exists()
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()

    assert worksite("worktrees", "clean", started.path).exit_code == 0
    assert started("show", "worksite/builder:new.py") == "1"


def test_one_that_a_process_stands_in_stays(worksite, started, place):
    shell = subprocess.Popen([sys.executable, "-c", "input()"], cwd=place("builder"), stdin=subprocess.PIPE)
    try:
        assert "in use" in line_of(worksite("worktrees", "clean", started.path), "builder")
    finally:
        shell.communicate(b"\n")
    assert place("builder").exists()


def test_of_two_commands_at_once_one_is_told_to_wait(worksite, started):
    descriptor = os.open(started.path / ".git", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        for command in ("start", "clean"):
            refused = worksite("worktrees", command, started.path)
            assert refused.exit_code == 1
            assert "another 'worksite worktrees' is at work" in refused.stderr
    finally:
        os.close(descriptor)
    assert worksite("worktrees", "clean", started.path).exit_code == 0


@pytest.mark.parametrize("dirty", [True, False])
def test_commits_that_no_branch_holds_get_one(worksite, started, at, dirty):
    validator = at("validator")
    validator("switch", "-q", "--detach")
    head = validator.commit("nobody's", b_py="1")
    if dirty:
        validator.write("c.py", "2")
    done = worksite("worktrees", "clean", started.path)

    assert done.exit_code == 0, done.stdout
    (branch,) = started("branch", "--format=%(refname:short)", "--contains", head).splitlines()
    assert branch.startswith("worksite/validator-")
    assert branch in line_of(done, "validator")
    assert "c.py" in started("ls-tree", "--name-only", branch) or not dirty


def _merging(worktree):
    worktree("switch", "-q", "-c", "other")
    worktree.commit("theirs", app_py="print(2)\n")
    worktree("switch", "-q", "worksite/builder")
    worktree.commit("ours", app_py="print(3)\n")
    with pytest.raises(AssertionError):
        worktree("merge", "-q", "other")


def _with_a_clone(worktree):
    worktree("clone", "-q", worktree.path, "lib/inner")


def _with_a_hidden_change(worktree):
    worktree("update-index", "--assume-unchanged", "app.py")
    worktree.write("app.py", "print('hidden')\n")


def _locked_by_git(worktree):
    worktree("worktree", "lock", "--reason", "mine", worktree.path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_merging, "in the middle of a merge"),
        (_with_a_clone, "a repository of its own"),
        (_with_a_hidden_change, "app.py is hidden from git"),
        (_locked_by_git, "'git worktree lock' holds it (mine)"),
    ],
)
def test_one_whose_work_could_be_lost_stays_and_the_others_go(worksite, started, at, place, make, why):
    make(at("builder"))
    before = at("builder")("status", "--porcelain")
    done = worksite("worktrees", "clean", started.path)

    assert done.exit_code == 1
    assert why in line_of(done, "builder")
    assert at("builder")("status", "--porcelain") == before
    assert not place("validator").exists()


def test_what_a_killed_clean_has_left_goes_with_the_next_start(worksite, started, at, place, tmp_path):
    place("builder").rename(tmp_path / "shop-worktrees" / ".going-builder-0123")
    done = worksite("worktrees", "start", started.path)

    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "shop-worktrees").iterdir()) == sorted(ROLES)
    assert at("builder")("status", "--porcelain") == ""


def test_what_a_killed_start_has_left_is_made_anew(worksite, started, at, place):
    (started.path / ".git" / "worktrees" / "builder" / "locked").write_text("worksite worktrees start")
    (place("builder") / "app.py").unlink()
    done = worksite("worktrees", "start", started.path)

    assert done.exit_code == 0, done.stderr
    assert (place("builder") / "app.py").exists()
    assert at("builder")("status", "--porcelain") == ""


def test_one_whose_folder_is_missing_may_have_been_moved_so_git_keeps_it(worksite, started, at, place, tmp_path):
    at("builder")("switch", "-q", "--detach")
    head = at("builder").commit("mine", b_py="1")
    place("builder").rename(tmp_path / "moved")
    for command in ("start", "clean"):
        done = worksite("worktrees", command, started.path)
        assert done.exit_code == 1
        assert "if you have moved it, 'git worktree repair" in done.stdout + done.stderr

    assert "if you have moved it" in worksite("worktrees", "list", started.path).stdout
    started("worktree", "repair", tmp_path / "moved")
    assert started.at(tmp_path / "moved")("rev-parse", "HEAD") == head


def test_one_whose_folder_is_gone_is_forgotten_by_git_but_not_its_commits(worksite, started, at, place):
    head = at("builder").commit("mine", b_py="1")
    subprocess.run(["rm", "-rf", place("builder")], check=True)
    started("worktree", "prune")

    assert worksite("worktrees", "clean", started.path).exit_code == 0
    assert started("rev-parse", "worksite/builder") == head


def test_one_that_was_moved_is_left_where_it_is(worksite, started, place, tmp_path):
    started("worktree", "move", place("builder"), tmp_path / "moved")
    (tmp_path / "moved" / "new.py").write_text("1")
    refused = worksite("worktrees", "start", started.path)
    assert refused.exit_code == 1
    assert f"worksite/builder is checked out in {tmp_path / 'moved'}" in refused.stderr

    assert f"elsewhere: {tmp_path / 'moved'}" in line_of(worksite("worktrees", "list", started.path), "builder")
    done = worksite("worktrees", "clean", started.path)
    assert done.exit_code == 1
    assert "left as it is" in line_of(done, "builder")
    assert (tmp_path / "moved" / "new.py").exists()


def test_a_branch_that_is_checked_out_elsewhere_is_named_before_anything_is_made(worksite, mine, place):
    mine("switch", "-q", "-c", "worksite/validator")
    refused = worksite("worktrees", "start", mine.path)

    assert refused.exit_code == 1
    assert "worksite/validator is checked out in" in refused.stderr
    assert not place("architect").exists()


@pytest.mark.parametrize("reason", ["initializing", "on a stick"])
def test_one_that_git_makes_or_somebody_locked_is_not_touched_though_it_is_missing(
    worksite, started, place, tmp_path, reason
):
    started("worktree", "lock", "--reason", reason, place("builder"))
    place("builder").rename(tmp_path / "away")
    for command in ("start", "clean"):
        assert worksite("worktrees", command, started.path).exit_code == 1
    place("builder").parent.mkdir()
    (tmp_path / "away").rename(place("builder"))

    assert started("worktree", "list", "--porcelain").count(f"locked {reason}") == 1
    started("worktree", "unlock", place("builder"))
    assert worksite("worktrees", "clean", started.path).exit_code == 0


def test_one_that_git_still_makes_is_not_touched(worksite, started, place):
    started("worktree", "lock", "--reason", "initializing", place("builder"))
    (place("builder") / "new.py").write_text("1")
    for command, output in (("start", "stderr"), ("clean", "stdout")):
        done = worksite("worktrees", command, started.path)
        assert done.exit_code == 1
        assert "git is making it" in getattr(done, output)
    assert (place("builder") / "new.py").exists()


def test_a_start_that_was_killed_before_it_remembered_the_base_is_gone_on_with(worksite, started, at, place):
    """Its worktree is whole, but nobody knows what it was cut from."""
    started("worktree", "lock", "--reason", "worksite worktrees start", place("builder"))
    at("builder")("update-ref", "-d", "refs/worktree/worksite-base")
    done = worksite("worktrees", "start", started.path)

    assert done.exit_code == 0, done.stderr
    assert at("builder")("rev-parse", "refs/worktree/worksite-base") == started("rev-parse", "HEAD")
    assert "locked" not in started("worktree", "list", "--porcelain")


def test_ignored_files_go_only_when_somebody_says_so(worksite, started, at, place):
    builder = at("builder")
    builder.commit("mine", _gitignore="secret.env\nbuild/\n")
    builder("mv", "_gitignore", ".gitignore")
    builder.commit("named")
    for name in ("secret.env", "build/a", "build/b"):
        builder.write(name, "1")
    left = worksite("worktrees", "clean", started.path)
    assert left.exit_code == 1
    assert "ignored files are in no commit (build/, secret.env): --discard-ignored" in line_of(left, "builder")
    assert (place("builder") / "secret.env").exists()
    assert not place("validator").exists()

    assert worksite("worktrees", "clean", started.path, "--discard-ignored").exit_code == 0
    assert not place("builder").exists()


def test_what_is_staged_and_was_changed_since_is_kept_in_both_versions(worksite, started, at):
    builder = at("builder")
    for name in ("app.py", "new.py", "gone.py"):
        builder.write(name, "staged")
    builder("add", "--all")
    builder.write("app.py", "print(1)\n")  # as it is committed
    builder.write("new.py", "changed")
    (builder.path / "gone.py").unlink()

    assert worksite("worktrees", "clean", started.path).exit_code == 0
    staged = [started("show", f"worksite/builder~1:{name}") for name in ("app.py", "new.py", "gone.py")]
    assert staged == ["staged"] * 3
    assert [started("show", f"worksite/builder:{name}") for name in ("app.py", "new.py")] == ["print(1)", "changed"]
    assert "gone.py" not in started("ls-tree", "--name-only", "worksite/builder")
    assert started("log", "-1", "--format=%s", "worksite/builder~1").startswith("Staged work, kept by")


def test_an_unsolved_conflict_without_a_merge_stays(worksite, started, at, place):
    builder = at("builder")
    builder.write("app.py", "print(2)\n")
    builder("stash")
    builder.commit("mine", app_py="print(3)\n")
    with pytest.raises(AssertionError):
        builder("stash", "pop")
    done = worksite("worktrees", "clean", started.path)

    assert done.exit_code == 1
    assert "left as it is" in line_of(done, "builder")
    assert builder("ls-files", "--unmerged")


def test_what_cannot_be_removed_is_named_and_is_in_nobodys_way(worksite, started, at, tmp_path):
    stuck = tmp_path / "shop-worktrees" / ".going-builder-0123"
    stuck.write_text("no folder, so it is not emptied")
    again = worksite("worktrees", "start", started.path)
    assert again.exit_code == 0
    assert f"{stuck} cannot be removed" in again.stderr.replace("\n", " ")
    at("builder").write("new.py", "1")

    done = worksite("worktrees", "clean", started.path)
    assert done.exit_code == 1
    assert f"{stuck} cannot be removed" in done.stdout
    assert started("show", "worksite/builder:new.py") == "1"
    assert not (tmp_path / "shop-worktrees" / "builder").exists()


def test_a_folder_that_may_not_be_changed_keeps_its_worktrees_and_the_command_its_manners(started, place):
    """Whoever is root may change everything, unless that is taken away."""
    place("builder").parent.chmod(0o555)
    command = [sys.executable, "-m", "worksite.cli.main", "worktrees", "clean", str(started.path)]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", *command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        place("builder").parent.chmod(0o755)

    assert (done.returncode, done.stderr) == (1, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(ROLES)
    assert done.stdout.count("left as it is: ") == 3
    assert started("worktree", "list").count("\n") == 3


def test_worktrees_and_branches_of_others_are_left_alone(worksite, started, tmp_path):
    started("worktree", "add", "-q", "-b", "feature", tmp_path / "shop-worktrees" / "feature")
    (tmp_path / "shop-worktrees" / "feature" / "new.py").write_text("1")

    assert worksite("worktrees", "clean", started.path).exit_code == 0
    assert (tmp_path / "shop-worktrees" / "feature" / "new.py").exists()


def test_a_folder_that_is_in_the_way_is_left_before_anything_is_made(worksite, mine, place):
    place("validator").mkdir(parents=True)
    (place("validator") / "mine.txt").write_text("1")
    refused = worksite("worktrees", "start", mine.path)

    assert refused.exit_code == 1
    assert "is in the way" in refused.stderr
    assert not place("architect").exists()


def test_without_a_name_it_is_the_repository_that_one_is_in_and_worksites_own_is_named(
    worksite, mine, place, monkeypatch
):
    monkeypatch.chdir(mine.path)
    assert "no repository was named" not in worksite("worktrees", "start").stderr
    assert place("builder").is_dir()
    for folder in ("blueprints", "policies"):
        (mine.path / folder).mkdir()

    own = f"no repository was named, so this is about Worksite's own checkout, {mine.path}\n"
    for command in ("start", "list", "clean"):
        done = worksite("worktrees", command)
        assert done.exit_code == 0, done.stderr
        assert own in done.stderr
    assert not place("builder").exists()
    assert "no repository was named" not in worksite("worktrees", "list", mine.path).stderr


@pytest.mark.parametrize("command", ["start", "list", "clean"])
def test_what_is_no_repository_gets_one_clear_line(worksite, tmp_path, command):
    for path, why in ((tmp_path / "nothing", "there is no"), (tmp_path, "is not a git repository")):
        refused = worksite("worktrees", command, path)
        assert refused.exit_code == 1
        assert why in refused.stderr
        assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("named", ["nowhere", "--version", "HEAD~5"])
def test_a_base_that_names_no_commit_gets_one_clear_line(worksite, mine, place, named):
    refused = worksite("worktrees", "start", mine.path, f"--base={named}")

    assert refused.exit_code == 1
    assert refused.stderr == f"worksite: {named!r} names no commit\n"
    assert not place("builder").exists()


def test_a_repository_without_a_commit_gets_one_clear_line(worksite, repository):
    refused = worksite("worktrees", "start", repository("empty").path)

    assert refused.exit_code == 1
    assert "has no commit yet" in refused.stderr
