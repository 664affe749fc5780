"""Delivery behind its gate: what was approved is pushed, and nothing else, once, whoever is killed."""

import json
import subprocess
from typing import Any

import pytest
from worksite.builder.testing import run_git
from worksite.builder.testing_forge import Hold

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]
REQUEST = "A function that greets people"


def waiting(delivering, *options: str) -> tuple[str, dict[str, Any]]:
    """A task that has passed and waits for an approver: its id, and what is shown of it."""
    asked = delivering.stack.run(REQUEST, "--route", "feature", "--approve-delivery", *options)
    assert asked.returncode == 3, asked.stdout + asked.stderr
    task = asked.stdout.splitlines()[-1].partition("task=")[2].split()[0]
    with delivering.stack.client() as http:
        approval = http.get(f"/v1/tasks/{task}").json()["approval"]
    assert f"approve {task} --digest {approval['digest']}" in asked.stdout
    return task, approval


def approving(delivering, task: str, *options: str) -> subprocess.Popen[str]:
    command = delivering.stack.command("approve", task, *options)
    out = ["--out", str(delivering.stack.out)]
    return subprocess.Popen([*command, *out], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_builder_dies_between_push_and_merge_request_and_there_is_one_of_each(delivering):
    base, forge = delivering.head("main"), delivering.forge
    task, approval = waiting(delivering, "--git-url", forge.url("team/shop"), "--merge-request")
    branch, planned = f"worksite/{task}", approval["delivery"]
    assert (planned["remote"], planned["branch"], planned["base_sha"]) == (forge.url("team/shop"), branch, base)
    assert planned["merge_request"] is True
    assert delivering.head(branch) is None

    refused = approving(delivering, task, "--digest", planned["bundle"])
    assert "look at it first" in refused.communicate()[0]
    hold = forge.holds["after push"] = Hold()
    with approving(delivering, task, "--digest", approval["digest"]) as approved:
        assert hold.reached.wait(120)
        assert [delivering.head(branch), forge.merge_requests] == [planned["head_sha"], []]
        delivering.stack.kill("builder")
        hold.released.set()
        said = approved.communicate()[0]

    assert approved.returncode == 0, said
    [request] = [one for one in forge.merge_requests if one["source_branch"] == branch]
    assert f"merge request: {request['web_url']}" in said
    assert (request["target_branch"], request["title"], request["sha"]) == (
        "main",
        "Greeting, closes ＃1",
        planned["head_sha"],
    )
    assert (delivering.head(branch), delivering.head("main")) == (planned["head_sha"], base)
    assert run_git(delivering.remote, "log", "-1", "--format=%P %s", branch) == f"{base} Greeting, closes ＃1"


def test_what_nobody_approved_is_not_pushed_and_a_local_repository_gets_what_was(delivering, tmp_path):
    """A push to this machine, which a setting of its own allows."""
    bare = tmp_path / "bare.git"
    run_git(tmp_path, "init", "--quiet", "--bare", str(bare))
    task, approval = waiting(delivering, "--push-to", f"file://{bare}")

    shown = approving(delivering, task)
    assert approval["digest"] in shown.communicate()[0]
    assert shown.returncode == 3
    assert delivering.head(f"worksite/{task}", bare) is None
    approved = approving(delivering, task, "--digest", approval["digest"])

    said = approved.communicate()[0]
    assert approved.returncode == 0, said
    assert delivering.head(f"worksite/{task}", bare) == approval["delivery"]["head_sha"]
    with delivering.stack.client() as http:
        results = [body["reply"]["data"] for kind, _, body in delivering.stack.events(http, task) if kind == "result"]
    assert results[-1]["type"] == "delivered", json.dumps(results[-1])
