"""worksite run --push, --push-to, --merge-request: what is sent, and what is told."""

import pytest

URL = "https://git.example/shop.git"
APPROVAL = {"gate": "deliver", "digest": "ab" * 32, "expires_at": "2026-11-29T12:00:00Z"}


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


def test_whoever_is_to_approve_a_delivery_is_told_where_the_branch_is(gateway, worksite, tmp_path):
    task = gateway.add_task("needs_input", "PASS", approval=APPROVAL, artifacts=["cost.json"])
    gateway.artifacts["cost.json"] = b"{}"
    (tmp_path / "here" / "out" / task / "project").mkdir(parents=True)
    done = worksite("watch", task)
    assert f"the branch is in out/{task}/project" in " ".join(done.stderr.split())
    assert "approve with: " in done.stdout


def test_what_passed_can_be_applied_though_it_could_not_be_delivered(gateway, worksite, repository, tmp_path):
    clone = repository("clone")
    clone("switch", "-q", "-c", "worksite/0123")
    clone.commit("theirs", new_py="1")
    gateway.artifacts["branch.bundle"] = clone.bundle(tmp_path / "b.bundle", "HEAD", "worksite/0123")
    task = gateway.add_task("failed", "PASS", artifacts=["branch.bundle"])
    assert worksite("apply", task, tmp_path / "new").exit_code == 0
