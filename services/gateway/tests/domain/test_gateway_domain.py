"""Principals, idempotency keys, event frames and submissions, as pure functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from worksite.gateway.domain import idempotency, sse
from worksite.gateway.domain.principal import MAX_LIFETIME_SECONDS, InvalidClaims, principal_from
from worksite.gateway.domain.submission import NewTask, Project
from worksite.gateway.domain.views import is_task_id

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CLAIMS: dict[str, Any] = {"sub": "ada", "jti": "id", "tenant": "acme", "roles": ["viewer"], "iat": 100, "exp": 200}
SUBJECT = "ws.v1.event.acme.0123.builder.1-import.progress"


def test_claims_name_a_principal() -> None:
    principal = principal_from(CLAIMS)

    assert (principal.subject, principal.tenant, principal.roles) == ("ada", "acme", {"viewer"})


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *[
            ("tenant", value)
            for value in (None, "", "shared", "Acme", "a.b", "*", ">", "a b", "x" * 33, "acme\n", 1, ["acme"])
        ],
        *[
            ("roles", value)
            for value in (None, [], "viewer", ["root"], ["viewer", "viewer"], ["viewer", 1], [["viewer"]])
        ],
        *[("sub", value) for value in (None, "", "x" * 257, "a\nb", 1)],
        *[("jti", value) for value in (None, "", 1)],
        *[("exp", value) for value in (None, "200", 100 + MAX_LIFETIME_SECONDS + 1)],
        ("iat", None),
    ],
)
def test_claims_that_do_not_name_a_principal_are_refused_by_name(claim: str, value: Any) -> None:
    with pytest.raises(InvalidClaims, match=claim if value != 100 + MAX_LIFETIME_SECONDS + 1 else "seconds"):
        principal_from(CLAIMS | {claim: value})


@pytest.mark.parametrize("key", ["k", "a b", "~" * 255, "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"'])
def test_printable_keys_are_keys(key: str) -> None:
    assert idempotency.is_key(key)


@pytest.mark.parametrize("key", ["", " ", " k", "k ", "a\tb", "a\x7f", "ü", "~" * 256, "a\n"])
def test_other_texts_are_not(key: str) -> None:
    assert not idempotency.is_key(key)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_storage_key_is_two_subject_tokens_whatever_the_client_sent(key: str) -> None:
    tenant, token = idempotency.storage_key("acme", "ada", "POST /v1/tasks", key).split(".")

    assert tenant == "acme"
    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")


def test_keys_of_two_routes_do_not_meet() -> None:
    assert idempotency.storage_key("acme", "ada", "a", "k") != idempotency.storage_key("acme", "ada", "b", "k")


@given(body=st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=20) | st.integers(), max_size=3))
def test_whatever_an_event_says_its_frame_is_one_event(body: Any) -> None:
    frame = sse.frame(7, NOW, SUBJECT, json.dumps(body, indent=1).encode()).decode()

    lines = frame.removesuffix("\n\n").splitlines()
    assert frame.endswith("\n\n")
    assert lines[:2] == ["id: 7", "event: progress"]
    assert len(lines) == 3
    assert json.loads(lines[2].removeprefix("data: ")) == {
        "sequence": 7,
        "time": "2026-11-22T00:00:00+00:00",
        "producer": "builder",
        "step": "1-import",
        "kind": "progress",
        "body": body,
    }


@pytest.mark.parametrize(
    ("kind", "status", "ends"),
    [
        ("state", "completed", True),
        ("state", "failed", True),
        ("state", "cancelled", True),
        ("state", "running", False),
        ("state", "needs_input", False),
        ("progress", "completed", False),
    ],
)
def test_only_a_terminal_state_ends_the_stream(kind: str, status: str, ends: bool) -> None:
    assert sse.ends_task(f"ws.v1.event.acme.0.admin.task.{kind}", json.dumps({"status": status}).encode()) is ends


def test_a_submission_refuses_two_kinds_of_project_at_once() -> None:
    with pytest.raises(ValidationError, match="give one of git_url"):
        Project(name="shop", git_url="https://git.example/x")


def test_the_command_is_bound_to_the_token_not_to_the_body() -> None:
    command = NewTask(request=" Create  auth ").command("0" * 32, "acme", "ada", NOW)

    assert (command.tenant, command.principal, command.request) == ("acme", "ada", "Create  auth")


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n", "٣" * 32])
def test_a_text_that_cannot_be_a_task_id_is_recognised(text: str) -> None:
    assert not is_task_id(text)
