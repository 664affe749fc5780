"""A polite stop of each service under load, a restart of the bus: every task ends well, and none of it is a failure."""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
import uuid

import httpx
import pytest
from pydantic import SecretStr
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, KeyValue
from worksite.common.ledger import LedgerEntry

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

WHOLE = {"request": "A bookshop API with title, price and stock"}
CHEAP = [
    {"request": "How does a task get its route?", "route": "question"},
    {"request": "A bookshop API with title, price and stock", "route": "design"},
]
GRACE_SECONDS = 15.0
"""What the supervisor gives a service before it kills it."""


def asked(http, method, path, **given):
    """A gateway that is being started again is asked again; with a key, so that nothing is submitted twice."""
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = http.request(method, path, **given)
            if answer.status_code < 500:
                return answer
        assert time.monotonic() < deadline, f"{method} {path} is not answered"
        time.sleep(0.2)


def submitted(http, bodies):
    posts = [{"json": body, "headers": {"Idempotency-Key": str(uuid.uuid4())}} for body in bodies]
    return [asked(http, "POST", "/v1/tasks", **post).json()["id"] for post in posts]


def stopped(stack, service):
    """SIGTERM; how it ended, as its supervisor saw it, and after how many seconds."""
    log, started = stack.state / "worksite.log", time.monotonic()
    ended = re.compile(rf"^{service} +\| (ended with status \d+|killed by signal \d+)", re.M)
    before = len(ended.findall(log.read_text()))
    os.kill(stack.pid(service), signal.SIGTERM)
    while len(found := ended.findall(log.read_text())) == before:
        assert time.monotonic() - started < 120, f"{service} does not end"
        time.sleep(0.02)
    return found[-1], time.monotonic() - started


def ended(http, tasks):
    """The tasks once none is under way; a gateway that restarts is asked again, below the rate limit."""
    views = {}
    deadline = time.monotonic() + 240
    while set(views) != set(tasks):
        assert time.monotonic() < deadline, f"still under way: {set(tasks) - set(views)}"
        for task in set(tasks) - set(views):
            answer = asked(http, "GET", f"/v1/tasks/{task}")
            if answer.status_code == 200 and answer.json()["status"] not in ("queued", "running"):
                views[task] = answer.json()
            time.sleep(0.1)
    return [views[task] for task in tasks]


def recorded(stack, tasks):
    """Failures that the ledger counted for these tasks, and all dead letters."""

    async def read():
        password = SecretStr((stack.state / "secrets" / "provision" / "nats_password").read_text())
        url = json.loads((stack.state / "stack.json").read_text())["nats_url"]
        bus = await Bus.connect(BusSettings(url, "provision", "provision", password))
        entries = await KeyValue(bus, subjects.LEDGER).entries()
        letters = await bus.read("DEAD", "ws.v1.dead.>", 0)
        await bus.close()
        steps = {
            entry.key: LedgerEntry.model_validate_json(entry.value)
            for entry in entries
            if entry.key.split(".")[1] in tasks
        }
        return steps, [letter for letter in letters if letter.headers["ws-task"] in tasks]

    return asyncio.run(read())


def check(stack, http, tasks):
    assert {view["status"] for view in ended(http, tasks)} == {"completed"}
    steps, letters = recorded(stack, tasks)
    assert steps
    assert {key: step.last_error for key, step in steps.items() if step.failures} == {}
    assert letters == []
    for task in tasks:
        results = [step for kind, step, _ in stack.events(http, task) if kind == "result"]
        assert len(results) == len(set(results))


def test_each_service_stopped_politely_under_load_ends_in_time_with_0_and_costs_no_task_a_failure(stack):
    with stack.client() as http:
        tasks, ends = [], {}
        for service in ("gateway", "admin", "architect", "builder", "validator", "rag"):
            tasks += submitted(http, [WHOLE, *CHEAP] if service == "gateway" else CHEAP)
            ends[service] = stopped(stack, service)
        check(stack, http, tasks)

    assert {service: how for service, (how, _) in ends.items()} == dict.fromkeys(ends, "ended with status 0")
    assert {service: seconds for service, (_, seconds) in ends.items() if seconds > GRACE_SECONDS} == {}


def test_tasks_under_way_end_well_although_the_bus_is_killed_and_comes_back(stack):
    with stack.client() as http:
        tasks = submitted(http, [WHOLE, *CHEAP])
        deadline = time.monotonic() + 120
        while not any(body.get("step") == "2-design" for _, _, body in stack.events(http, tasks[0])):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(stack.pid("nats"), signal.SIGKILL)
        check(stack, http, tasks)
