"""worksite run --push, --push-to, --merge-request: what is sent, and what is told."""

import pytest

URL = "https://git.example/shop.git"
PLANNED = {
    "remote": URL, "branch": "worksite/x", "head_sha": "1" * 40, "base_sha": "2" * 40, "bundle": "3" * 64,
    "merge_request": True, "title": "Accounts", "into": "next",
}  # fmt: skip
APPROVAL = {"gate": "deliver", "digest": "ab" * 32, "expires_at": "2026-11-29T12:00:00Z", "delivery": PLANNED}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--git-url", URL, "--push"], {"deliver": {"push": {}, "merge_request": False}}),
        (["--git-url", URL, "--merge-request"], {"deliver": {"push": {}, "merge_request": True}}),
        (["--name", "shop", "--push-to", URL], {"deliver": {"push": {"url": URL}, "merge_request": False}}),
        (
            ["--git-url", URL, "--push", "--approve-delivery"],
            {"deliver": {"push": {}, "merge_request": False}, "approve": ["deliver"]},
        ),
    ],
)
def test_what_is_asked_for_is_sent(gateway, worksite, options, sent):
    assert worksite("submit", "auth", *options).exit_code == 0
    assert gateway.sent("POST", "/v1/tasks")[0]["options"] == sent


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--push"], "say where with --push-to"),
        (["--name", "shop", "--merge-request"], "say where with --push-to"),
        (["--git-url", URL, "--approve-delivery"], "--approve-delivery needs"),
        (["--git-url", "git@git.example:team/shop.git", "--push"], "SSH is not spoken here"),
        (["--push-to", "ssh://git@git.example/shop.git"], "SSH is not spoken here"),
    ],
)
def test_what_could_never_be_delivered_is_wrong_usage(gateway, worksite, options, says):
    done = worksite("submit", "auth", *options)
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert gateway.sent("POST", "/v1/tasks") == []


def test_the_merge_request_is_told(gateway, worksite):
    delivered = {"remote": URL, "branch": "worksite/x", "head_sha": "1" * 40, "merge_request": "https://m/1"}
    gateway.after_submit = {"status": "completed", "verdict": "PASS", "artifacts": [], "delivered": delivered}
    assert "merge request: https://m/1" in worksite("run", "auth", "--git-url", URL, "--merge-request").stdout
    delivered["merge_request_state"] = "closed"
    assert "merge request: https://m/1 (closed)" in worksite("run", "auth", "--git-url", URL, "--merge-request").stdout


def test_whoever_is_to_approve_a_delivery_is_told_where_the_branch_is(gateway, worksite, tmp_path):
    task = gateway.add_task("needs_input", "PASS", approval=APPROVAL, artifacts=["cost.json"])
    gateway.artifacts["cost.json"] = b"{}"
    (tmp_path / "here" / "out" / task / "project").mkdir(parents=True)
    done = worksite("watch", task)
    assert f"the branch is in out/{task}/project" in " ".join(done.stderr.split())
    assert f"approve {task} --digest {APPROVAL['digest']}" in done.stdout


@pytest.fixture
def waiting(gateway):
    return gateway.add_task("needs_input", "PASS", approval=APPROVAL, artifacts=[])


def words(gateway, task):
    return gateway.sent("POST", f"/v1/tasks/{task}/approval")


def test_a_delivery_is_shown_whole_before_it_can_be_approved(gateway, worksite, waiting):
    done = worksite("approve", waiting)
    assert (done.exit_code, words(gateway, waiting)) == (3, [])
    for value in (*PLANNED.values(), APPROVAL["digest"]):
        assert value is True or value in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f"approve {waiting} --digest {APPROVAL['digest']}")


def test_what_was_looked_at_is_approved(gateway, worksite, waiting):
    done = worksite("approve", waiting, "--digest", APPROVAL["digest"])
    assert [(word["digest"], word["approved"]) for word in words(gateway, waiting)] == [(APPROVAL["digest"], True)]
    assert done.exit_code == 0


@pytest.mark.parametrize("reject", [[], ["--reject"]])
def test_a_word_on_what_does_not_wait_any_more_is_not_sent(gateway, worksite, waiting, reject):
    done = worksite("approve", waiting, "--digest", "cd" * 32, *reject)
    assert done.exit_code == 1
    assert f"has the digest {APPROVAL['digest']}: look at it first" in done.stderr
    assert words(gateway, waiting) == []


def test_a_delivery_is_rejected_without_ceremony(gateway, worksite, waiting):
    worksite("approve", waiting, "--reject")
    assert [word["approved"] for word in words(gateway, waiting)] == [False]


def test_what_passed_can_be_applied_though_it_could_not_be_delivered(gateway, worksite, repository, tmp_path):
    clone = repository("clone")
    clone("switch", "-q", "-c", "worksite/0123")
    clone.commit("theirs", new_py="1")
    gateway.artifacts["branch.bundle"] = clone.bundle(tmp_path / "b.bundle", "HEAD", "worksite/0123")
    task = gateway.add_task("failed", "PASS", artifacts=["branch.bundle"])
    assert worksite("apply", task, tmp_path / "new").exit_code == 0
