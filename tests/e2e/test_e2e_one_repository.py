"""Several tasks on one repository at once: each ends with its own branch on its own base, and disturbs no other."""

import threading

import pytest
from worksite.builder.testing import run_git

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]
TASKS = 3


def test_tasks_at_once_on_one_repository_are_delivered_side_by_side(delivering):
    """The branch main moves on with each of them, so that each has another base."""
    bases = [delivering.commit() for _ in range(TASKS)]
    url = delivering.forge.url("team/shop")
    with delivering.stack.client() as http:
        tasks = {}
        for number, base in enumerate(bases):
            project = {"git_url": url, "ref": base}
            options = {"deliver": {"merge_request": True}}
            body = {"request": f"A greeting, number {number}", "route": "feature", "project": project}
            answer = http.post("/v1/tasks", json=body | {"options": options})
            assert answer.status_code == 202, answer.text
            tasks[answer.json()["id"]] = base
        watchers = [threading.Thread(target=delivering.stack.watch, args=(task,)) for task in tasks]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
        views = {task: http.get(f"/v1/tasks/{task}").json() for task in tasks}

    assert {view["status"]: view["reason"] for view in views.values()}.keys() == {"completed"}, views
    for task, base in tasks.items():
        branch = f"worksite/{task}"
        head = views[task]["delivered"]["head_sha"]
        assert delivering.head(branch) == head
        assert run_git(delivering.remote, "rev-list", branch, f"^{base}") == head, "one commit, on its base"
        assert f"Worksite-Task: {task}" in run_git(delivering.remote, "log", "-1", "--format=%B", branch)
        assert delivering.stack.commits(task)[:2] == [head, base]
        [request] = [one for one in delivering.forge.merge_requests if one["source_branch"] == branch]
        assert (request["web_url"], request["sha"]) == (views[task]["delivered"]["merge_request"], head)
    assert delivering.head("main") == bases[-1]
