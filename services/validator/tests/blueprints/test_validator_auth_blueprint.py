"""The auth-service blueprint is proved as it is, and refuted, criterion by criterion, when it is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.proof


@pytest.mark.timeout(1200)  # a guard against hanging, not a measure
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(product: Any, prove: Callable[..., Any]) -> None:
    judged = prove(product("auth-service"))

    assert judged.report.environment.lock == "requirements.lock"


FAULTS = {
    "login accepts any password": (
        "passwords.py",
        "        except (VerificationError, InvalidHashError):\n            return False",
        "        except (VerificationError, InvalidHashError):\n            return password_hash is not None",
        "acceptance/test_sessions.py::test_login_refuses_every_other_password",
    ),
    "a refresh token works for ever": (
        "sessions.py",
        "    token.used_at = now\n",
        "",
        "acceptance/test_sessions.py::test_refresh_token_works_only_once",
    ),
    "reuse of a refresh token is not noticed": (
        "sessions.py",
        "        session.revoked_at = now\n        audit.record(tx, Action.REFRESH_REUSED",
        "        audit.record(tx, Action.REFRESH_REUSED",
        "acceptance/test_sessions.py::test_refresh_reuse_revokes_the_whole_family",
    ),
    "logout does nothing": (
        "sessions.py",
        "            session.revoked_at = now\n            audit.record(tx, Action.LOGGED_OUT",
        "            audit.record(tx, Action.LOGGED_OUT",
        "acceptance/test_sessions.py::test_logout_ends_the_session_at_once",
    ),
    "there is no lockout": (
        "throttle.py",
        "if attempts.count >= allowed:\n            raise",
        "if attempts.count < 0:\n            raise",
        "acceptance/test_sessions.py::test_lockout_does_not_tell_whether_the_account_exists",
    ),
    "passwords are kept in plain text": (
        "passwords.py",
        "        return self._hasher.hash(_normalise(password))",
        "        return password",
        "unit/test_inside.py::test_passwords_are_stored_only_as_argon2id_hashes",
    ),
    "the audit log is dropped": (
        "audit.py",
        "    tx.add(AuditEvent(action=action, account_id=account_id, at=now, ip=ip))",
        "    del tx, action, account_id, now, ip",
        "acceptance/test_accounts.py::test_audit_log_records_what_happened_to_the_account",
    ),
    "everyone reads everyone's audit log": (
        "audit.py",
        ".where(AuditEvent.account_id == account_id)",
        "",
        "acceptance/test_accounts.py::test_audit_log_is_private_to_its_account",
    ),
    "expired access tokens are accepted": (
        "tokens.py",
        "            now=int(now.timestamp()),",
        "            now=int(now.timestamp()),\n            leeway=10**9,",
        "acceptance/test_tokens.py::test_access_token_is_refused_unless_every_claim_is_right",
    ),
    "expired refresh tokens are accepted": (
        "sessions.py",
        "if token is None or token.expires_at <= now:",
        "if token is None:",
        "acceptance/test_sessions.py::test_refresh_token_expires",
    ),
    "nothing outlives the process": (
        "database.py",
        "create_engine(url)",
        'create_engine("sqlite:///file:auth?mode=memory&cache=shared&uri=true")',
        "acceptance/test_service.py::test_everything_survives_a_restart",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(
    product: Any, refute: Callable[..., None], name: str
) -> None:
    refute(product("auth-service"), FAULTS[name])
