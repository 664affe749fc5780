"""The policy engine, and the policies that ship."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.common.policy import Entity, PolicyEngine, PolicyError

POLICIES = Path(__file__).parents[3] / "policies"
READS = frozenset({"listTasks", "readTask", "readEvents", "readArtifact", "search"})
ALLOWED = {
    "viewer": READS,
    "approver": READS,
    "developer": READS | {"submitTask", "cancelTask"},
    "operator": READS | {"cancelTask"},
}
ACTIONS = sorted(ALLOWED["developer"])
SCHEMA = """
namespace Worksite {
  entity Principal, Thing { n?: Long };
  action use appliesTo { principal: Principal, resource: Thing };
}
"""


def principal(roles: tuple[str, ...], tenant: str = "acme") -> Entity:
    return Entity("Principal", "ada", {"tenant": tenant}, tuple(Entity("Role", role) for role in roles))


def resource(action: str, tenant: str = "acme") -> Entity:
    of_tenant = action in {"listTasks", "search", "submitTask"}
    return Entity("Tenant" if of_tenant else "Task", "it", {"tenant": tenant})


def written(directory: Path, policies: str, schema: str = SCHEMA) -> Path:
    (directory / "schema.cedarschema").write_text(schema)
    (directory / "rules.cedar").write_text(policies)
    return directory


@pytest.fixture(scope="module")
def shipped() -> PolicyEngine:
    return PolicyEngine.load(POLICIES)


@pytest.mark.parametrize("role", sorted(ALLOWED))
@pytest.mark.parametrize("action", ACTIONS)
def test_a_role_may_do_what_the_table_says_and_nothing_else(shipped: PolicyEngine, role: str, action: str) -> None:
    decision = shipped.decide(principal((role,)), action, resource(action))

    assert decision.allow is (action in ALLOWED[role])
    assert decision.errors == ()


@given(
    roles=st.lists(st.sampled_from([*sorted(ALLOWED), "stranger"]), max_size=4, unique=True),
    action=st.sampled_from(ACTIONS),
    tenants=st.tuples(st.sampled_from(["acme", "beta"]), st.sampled_from(["acme", "beta"])),
)
def test_decisions_agree_with_a_plain_reading_of_the_rules(
    roles: list[str], action: str, tenants: tuple[str, str]
) -> None:
    engine = PolicyEngine.load(POLICIES)
    permitted = any(action in ALLOWED.get(role, ()) for role in roles)

    decision = engine.decide(principal(tuple(roles), tenants[0]), action, resource(action, tenants[1]))

    assert decision.allow is (permitted and tenants[0] == tenants[1])


def test_a_decision_names_the_policies_that_made_it(shipped: PolicyEngine) -> None:
    allowed = shipped.decide(principal(("developer",)), "submitTask", resource("submitTask"))
    denied = shipped.decide(principal(("developer",)), "readTask", resource("readTask", tenant="beta"))

    assert allowed.policy_ids == ("developers-work",)
    assert denied.policy_ids == ("tenants-are-isolated",)


def test_an_unknown_action_is_denied_with_an_error(shipped: PolicyEngine) -> None:
    decision = shipped.decide(principal(("developer",)), "launchMissiles", resource("readTask"))

    assert not decision.allow
    assert "launchMissiles" in decision.errors[0]


def test_an_attribute_that_is_missing_is_denied_with_an_error(shipped: PolicyEngine) -> None:
    decision = shipped.decide(principal(("developer",)), "readTask", Entity("Task", "it"))

    assert not decision.allow
    assert decision.errors


def test_a_forbid_that_fails_while_it_is_evaluated_denies(tmp_path: Path) -> None:
    permit = "permit(principal, action, resource);"
    overflow = "forbid(principal, action, resource) when { 9223372036854775807 + 1 > 0 };"
    engine = PolicyEngine.load(written(tmp_path, permit + overflow))

    decision = engine.decide(Entity("Principal", "ada"), "use", Entity("Thing", "it"))

    assert not decision.allow
    assert "overflow" in decision.errors[0]


def test_identifiers_are_data_and_cannot_become_policy_text(shipped: PolicyEngine) -> None:
    hostile = Entity("Principal", 'x" in Worksite::Role::"developer', {"tenant": "acme"})

    assert not shipped.decide(hostile, "submitTask", resource("submitTask")).allow


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        ("permit (", "rules.cedar"),
        ("permit(principal, action, resource) when { resource.colour == 1 };", "colour"),
        ('permit(principal in Worksite::Role::"x", action, resource);', "Role"),
    ],
)
def test_policies_that_do_not_fit_the_schema_are_refused_at_load(tmp_path: Path, policies: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        PolicyEngine.load(written(tmp_path, policies))


def test_a_schema_that_cannot_be_read_is_refused_at_load(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"schema\.cedarschema"):
        PolicyEngine.load(written(tmp_path, "permit(principal, action, resource);", schema="entity ("))


def test_a_directory_without_policies_is_refused_at_load(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"no \*\.cedar file"):
        PolicyEngine.load(tmp_path)


def test_a_policy_file_that_cannot_be_read_is_refused_at_load(tmp_path: Path) -> None:
    folder = written(tmp_path, "permit(principal, action, resource);")
    (folder / "more.cedar").write_bytes(b"\xff")

    with pytest.raises(PolicyError, match=r"more\.cedar"):
        PolicyEngine.load(folder)


@pytest.mark.parametrize("context", [{"name": "\ud800"}, {"name": b"bytes"}])
def test_a_request_that_the_engine_cannot_read_is_denied_with_an_error(
    shipped: PolicyEngine, context: dict[str, object]
) -> None:
    decision = shipped.decide(principal(("developer",)), "readTask", resource("readTask"), context)

    assert not decision.allow
    assert decision.errors
