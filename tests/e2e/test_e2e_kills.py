"""kill -9 of each of the six services, once, in the middle of a run: the task passes, and nothing is done twice."""

import json
import threading

import pytest

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

REQUEST = "A bookshop API with title, price and stock"


@pytest.mark.parametrize(
    ("service", "step"),
    [
        ("gateway", "4-validate"),
        ("admin", "3-build"),
        ("architect", "2-design"),
        ("builder", "3-build"),
        ("validator", "4-validate"),
        ("rag", "2-design"),
    ],
)
def test_a_task_survives_the_death_of_a_service(stack, service, step):
    with stack.client() as http:
        task = http.post("/v1/tasks", json={"request": REQUEST}).json()["id"]
        killer = threading.Thread(target=stack.kill_when, args=(http, task, step, service))
        killer.start()
        watched = stack.watch(task)
        killer.join()
        seen = stack.events(http, task)

    assert watched.returncode == 0, watched.stdout + watched.stderr
    results = [(name, body["reply"]["status"]) for kind, name, body in seen if kind == "result"]
    assert results == [("1-import", "ok"), ("2-design", "ok"), ("3-build", "ok"), ("4-validate", "ok")]
    assert len(stack.commits(task)) == 2  # the empty root, and the one commit of the one round
    report = json.loads((stack.out / task / "report.json").read_text())
    assert (report["verdict"], report["round"]) == ("PASS", 1)
