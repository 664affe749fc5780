"""Prometheus asks every service, and an alert is at Alertmanager while there is a cause."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import Any

from engine import Project, say, until
from worksite.common.subjects import SERVICES

ALERT, STOPPED = "WorksiteServiceDown", "rag"
SCRAPED_SECONDS, FIRING_SECONDS = 120, 240


def check(project: Project) -> None:
    """Stops a service for a minute or two. Raises AssertionError."""
    until("Prometheus scrapes every service", SCRAPED_SECONDS, lambda: scraped(project) == set(SERVICES))
    say(f"Prometheus scrapes {', '.join(SERVICES)}; it has {rules(project)} alert rules")
    assert STOPPED not in firing(project)
    project.compose("stop", STOPPED)
    until(f"{ALERT} is at Alertmanager", FIRING_SECONDS, lambda: STOPPED in firing(project))
    say(f"{ALERT} of {STOPPED} fires: it was stopped")
    project.compose("start", STOPPED)
    until(f"{ALERT} is gone", FIRING_SECONDS, lambda: STOPPED not in firing(project))
    say(f"{ALERT} of {STOPPED} is gone: it was started again")


def scraped(project: Project) -> set[str]:
    """Jobs whose targets answered."""
    found = answer(project, "prometheus", "http://127.0.0.1:9090/api/v1/targets?state=active")
    targets = found["data"]["activeTargets"] if found else []
    return {target["labels"]["job"] for target in targets if target["health"] == "up"}


def rules(project: Project) -> int:
    """How many it evaluates."""
    found = answer(project, "prometheus", "http://127.0.0.1:9090/api/v1/rules?type=alert")
    assert found, "Prometheus does not answer"
    return sum(len(group["rules"]) for group in found["data"]["groups"])


def firing(project: Project) -> set[str]:
    """Jobs that Alertmanager would tell somebody are down; also none while it does not answer."""
    found = answer(project, "alertmanager", "http://127.0.0.1:9093/api/v2/alerts?active=true")
    return {alert["labels"]["job"] for alert in found or () if alert["labels"]["alertname"] == ALERT}


def answer(project: Project, service: str, url: str) -> Any:
    """Asked from its own container, as no port of it is published; None while it does not answer."""
    with contextlib.suppress(subprocess.CalledProcessError, json.JSONDecodeError):
        return json.loads(project.run_in(service, "wget", "-q", "-O", "-", url))
    return None
