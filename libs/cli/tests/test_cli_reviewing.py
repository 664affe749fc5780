"""worksite review and --repo: my repository is sent as a bundle, and what cannot be sent is said in one line."""

import subprocess

import pytest


@pytest.fixture
def mine(repository):
    found = repository()
    found.commit("first", app_py="print(1)\n")
    return found


def heads(gateway, tmp_path):
    """What the one bundle holds that was uploaded: ref -> commit."""
    (bundle,) = gateway.sent("POST", "/v1/uploads")
    (tmp_path / "sent.bundle").write_bytes(bundle)
    listed = subprocess.run(
        ["git", "bundle", "list-heads", tmp_path / "sent.bundle"], capture_output=True, text=True, check=True
    )
    return {ref: commit for commit, ref in (line.split() for line in listed.stdout.splitlines())}


def submitted(gateway):
    (body,) = gateway.sent("POST", "/v1/tasks")
    return body


def test_a_review_sends_the_branch_and_the_default_branch_and_follows(gateway, worksite, mine, tmp_path):
    base = mine("rev-parse", "main")
    mine("switch", "-q", "-c", "topic")
    head = mine.commit("more", more_py="print(2)\n")
    done = worksite("review", mine.path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("PASS task=")
    assert heads(gateway, tmp_path) == {"HEAD": base, "refs/heads/main": base, "refs/heads/topic": head}
    body = submitted(gateway)
    assert (body["route"], body["project"]) == (
        "review",
        {"upload": "u1", "ref": "topic", "name": mine.path.name},
    )
    assert "options" not in body


def test_the_bundle_holds_the_whole_history(gateway, worksite, mine, tmp_path, repository):
    for number in range(5):
        mine.commit(f"commit {number}")
    worksite("review", mine.path)
    heads(gateway, tmp_path)
    clone = repository("clone")
    clone("fetch", "-q", tmp_path / "sent.bundle", "refs/heads/main")
    assert clone("rev-list", "--count", "FETCH_HEAD") == "6"


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [("failed", "FAIL", 1), ("completed", "ENVIRONMENT", 4), ("needs_input", None, 3)],
)
def test_the_exit_code_is_the_verdicts(gateway, worksite, mine, status, verdict, code):
    gateway.after_submit = {"status": status, "verdict": verdict}
    assert worksite("review", mine.path).exit_code == code


def test_a_tag_a_commit_and_a_base_are_sent_by_name(gateway, worksite, mine, tmp_path):
    mine("tag", "-a", "v1", "-m", "v1")
    first = mine("rev-parse", "HEAD")
    head = mine.commit("second")
    mine.commit("third")
    done = worksite("review", mine.path, "--ref", "HEAD~1", "--base", "v1")
    assert done.exit_code == 0, done.stderr
    name = f"commit-{head[:12]}"
    body = submitted(gateway)
    assert (body["project"]["ref"], body["options"]) == (name, {"base": "v1"})
    sent = heads(gateway, tmp_path)
    assert (sent[f"refs/heads/{name}"], sent["refs/tags/v1"]) == (head, first)


@pytest.mark.parametrize("name", ["feature#1", "naïve", "-x"])
def test_a_branch_whose_name_the_gateway_does_not_take_travels_under_another(gateway, worksite, mine, name):
    mine("update-ref", f"refs/heads/{name}", "HEAD")
    mine("symbolic-ref", "HEAD", f"refs/heads/{name}")
    done = worksite("review", mine.path)
    assert done.exit_code == 0, done.stderr
    assert submitted(gateway)["project"]["ref"].startswith("commit-")


def test_a_detached_head_can_be_judged(gateway, worksite, mine, tmp_path):
    mine("switch", "-q", "--detach")
    assert worksite("review", mine.path).exit_code == 0
    assert submitted(gateway)["project"]["ref"].startswith("commit-")


def test_the_default_branch_is_the_one_that_origin_names(gateway, worksite, mine, tmp_path):
    mine("branch", "trunk")
    mine("update-ref", "refs/remotes/origin/trunk", "HEAD")
    mine("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    mine.commit("more")
    worksite("review", mine.path)
    sent = heads(gateway, tmp_path)
    assert sent["HEAD"] == sent["refs/heads/trunk"] != sent["refs/heads/main"]


@pytest.mark.parametrize("change", ["tracked", "staged", "untracked"])
def test_uncommitted_changes_are_said_to_be_left_out(gateway, worksite, mine, change):
    mine.write("new.py" if change == "untracked" else "app.py", "print(3)\n")
    if change == "staged":
        mine("add", "app.py")
    done = worksite("review", mine.path)
    assert "uncommitted changes are not part of it, only commits are (paths: 1)" in done.stderr


def test_my_repository_is_as_it_was(gateway, worksite, mine):
    before = sorted(path for path in mine.path.rglob("*"))
    worksite("review", mine.path, "--base", "HEAD")
    assert sorted(path for path in mine.path.rglob("*")) == before


def test_no_hook_and_no_monitor_of_mine_runs(gateway, worksite, mine):
    hook = mine.path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch '{mine.path}/ran'\n")
    hook.chmod(0o755)
    mine("config", "core.fsmonitor", hook)
    worksite("review", mine.path)
    assert not (mine.path / "ran").exists()


@pytest.mark.parametrize("kind", ["clean", "process"])
def test_no_filter_of_the_repository_runs(gateway, worksite, mine, tmp_path, kind):
    """An index that was written in the same second as a file makes `git status` read the file."""
    mine.commit("filtered", **{".gitattributes": "* filter=theirs\n"})
    mine("config", f"filter.theirs.{kind}", f"touch '{tmp_path}/ran'; cat")
    mine("config", "filter.theirs.required", "true")
    mine.write("app.py", "print(3)\n")
    done = worksite("review", mine.path)
    assert done.exit_code == 0, done.stderr
    assert "uncommitted changes" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_worktree_and_a_bare_repository_can_be_judged(gateway, worksite, mine, tmp_path, repository):
    mine("worktree", "add", "-q", "-b", "aside", tmp_path / "aside")
    mine("clone", "-q", "--bare", ".", tmp_path / "bare.git")
    assert worksite("review", tmp_path / "aside").exit_code == 0
    assert worksite("review", tmp_path / "bare.git").exit_code == 0
    assert [body["project"]["ref"] for body in gateway.sent("POST", "/v1/tasks")] == ["aside", "main"]


def test_what_is_no_repository_is_refused(gateway, worksite, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    for name, said in (("plain", "is not a git repository"), ("file", "is not a directory"), ("none", "there is no")):
        done = worksite("review", tmp_path / name)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert said in done.stderr
    assert not gateway.requests


def test_a_repository_without_commits_is_refused(gateway, worksite, repository):
    done = worksite("review", repository("new").path)
    assert (done.exit_code, gateway.requests) == (1, [])
    assert "has no commits yet" in done.stderr


def test_a_shallow_clone_is_refused(gateway, worksite, mine, repository):
    mine.commit("second")
    clone = repository("clone")
    clone("fetch", "-q", "--depth=1", f"file://{mine.path}", "main")
    clone("reset", "-q", "--hard", "FETCH_HEAD")
    done = worksite("review", clone.path)
    assert (done.exit_code, gateway.requests) == (1, [])
    assert "git fetch --unshallow" in done.stderr


@pytest.mark.parametrize("option", ["--ref", "--base"])
def test_an_unknown_ref_is_refused_with_the_branches_there_are(gateway, worksite, mine, option):
    mine("branch", "topic")
    done = worksite("review", mine.path, option, "nonsense")
    assert (done.exit_code, gateway.requests) == (1, [])
    assert done.stderr == f"worksite: there is no ref 'nonsense' in {mine.path}; its branches: main, topic\n"


def test_a_repository_of_the_other_object_format_is_refused(gateway, worksite, repository):
    modern = repository("modern", "--object-format=sha256")
    modern.commit("first")
    done = worksite("review", modern.path)
    assert (done.exit_code, gateway.requests) == (1, [])
    assert "SHA-256" in done.stderr


def test_a_repository_that_is_too_large_is_said_with_its_size(gateway, worksite, mine):
    too_large = {"title": "Body too large", "detail": "at most 10 bytes are accepted"}
    gateway.refusals = [("/v1/uploads", 413, {}, too_large)]
    done = worksite("review", mine.path)
    assert done.exit_code == 2
    size = len(gateway.sent("POST", "/v1/uploads")[0])
    said = f"worksite: the repository's bundle of {size / 1024:.1f} KiB was not taken: Body too large: at most 10 bytes"
    assert done.stderr.splitlines()[-1].startswith(said)


def test_an_upload_is_repeated_after_a_pause(gateway, worksite, mine):
    gateway.refusals = [("/v1/uploads", 429, {"Retry-After": "0"}, {"title": "Too many requests"})]
    assert worksite("review", mine.path).exit_code == 0
    first, second = gateway.sent("POST", "/v1/uploads")
    assert first == second != b""


@pytest.mark.parametrize("command", ["run", "submit"])
def test_a_request_can_be_about_my_repository(gateway, worksite, mine, command):
    done = worksite(command, "add a health check", "--repo", mine.path, "--ref", "main")
    assert done.exit_code == 0, done.stderr
    assert submitted(gateway) == {
        "request": "add a health check",
        "project": {"upload": "u1", "ref": "main", "name": mine.path.name},
    }


def test_criteria_travel_with_the_review(gateway, worksite, mine, tmp_path):
    (tmp_path / "criteria.yaml").write_text("- id: lint\n  statement: The linter is content.\n")
    done = worksite("review", mine.path, "--criteria", tmp_path / "criteria.yaml")
    assert done.exit_code == 0, done.stderr
    criterion = {"id": "lint", "statement": "The linter is content.", "grade": "self_reported", "test": None}
    assert submitted(gateway)["options"] == {"criteria": [criterion]}


def test_criteria_that_nothing_can_judge_are_refused_before_anything_is_sent(gateway, worksite, mine, tmp_path):
    (tmp_path / "criteria.txt").write_text("# mine\nIt is fast.\n")
    done = worksite("review", mine.path, "--criteria", tmp_path / "criteria.txt")
    assert (done.exit_code, gateway.requests) == (1, [])
    assert done.stderr.startswith(f"worksite: {tmp_path}/criteria.txt:2: nothing can judge this")
