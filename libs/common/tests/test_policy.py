"""The policy engine, and the policies that ship."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.common import subjects
from worksite.common.policy import Entity, Policies, PolicyEngine, PolicyError

POLICIES = Path(__file__).parents[3] / "policies"
READS = frozenset({
    "listTasks", "readTask", "readEvents", "readArtifact", "readUpload", "listDocuments", "readDocument", "search",
    "explainRoute", "readStats",
})  # fmt: skip
WORKS = frozenset({"createUpload", "submitTask", "giveInput", "cancelTask", "submitDocuments", "deleteDocument"})
LETTERS = frozenset({"listDeadLetters", "readDeadLetter", "redriveDeadLetter", "purgeDeadLetter"})
ALLOWED = {
    "viewer": READS,
    "approver": READS | {"approveTask"},
    "developer": READS | WORKS,
    "operator": READS | {"cancelTask"} | LETTERS,
}
ACTIONS = sorted(READS | WORKS | LETTERS | {"approveTask"})
RESOURCES = dict.fromkeys(("readTask", "readEvents", "readArtifact", "cancelTask", "giveInput", "approveTask"), "Task")
RESOURCES |= {"readDocument": "Document", "deleteDocument": "Document", "readUpload": "Upload"}
RESOURCES |= dict.fromkeys(("readDeadLetter", "redriveDeadLetter", "purgeDeadLetter"), "DeadLetter")
NOW = {"now": "2026-11-23T12:00:00Z"}
ASKED_BY_SERVICES = {
    "search": subjects.rpc_subject("rag", "search"),
    "embed": subjects.rpc_subject("rag", "embed"),
    "checkCandidate": subjects.rpc_subject("validator", "check"),
    "explainRoute": subjects.rpc_subject("admin", "explain"),
    "relayRedrive": subjects.rpc_subject("admin", "redrive"),
    "writeArtifacts": f"$O.{subjects.ARTIFACTS}.>",
    "writeKnowledge": f"$O.{subjects.KNOWLEDGE}.>",
    "readKnowledge": f"$JS.API.DIRECT.GET.OBJ_{subjects.KNOWLEDGE}.>",
}
SCHEMA = """
namespace Worksite {
  entity Principal, Thing { n?: Long };
  action use appliesTo { principal: Principal, resource: Thing };
}
"""


def principal(roles: tuple[str, ...], tenant: str = "acme") -> Entity:
    return Entity("Principal", "ada", {"tenant": tenant}, tuple(Entity("Role", role) for role in roles))


def resource(action: str, tenant: str = "acme") -> Entity:
    return Entity(RESOURCES.get(action, "Tenant"), "it", {"tenant": tenant})


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
    decision = shipped.decide(principal((role,)), action, resource(action), NOW)

    assert decision.allow is (action in ALLOWED[role])
    assert decision.errors == ()


@given(
    roles=st.lists(st.sampled_from([*sorted(ALLOWED), "stranger"]), max_size=4, unique=True),
    action=st.sampled_from(ACTIONS),
    tenants=st.tuples(st.sampled_from(["acme", "beta"]), st.sampled_from(["acme", "beta"])),
)
def test_decisions_agree_with_a_plain_reading_of_the_rules(
    shipped: PolicyEngine, roles: list[str], action: str, tenants: tuple[str, str]
) -> None:
    permitted = any(action in ALLOWED.get(role, ()) for role in roles)

    decision = shipped.decide(principal(tuple(roles), tenants[0]), action, resource(action, tenants[1]), NOW)

    assert decision.allow is (permitted and tenants[0] == tenants[1])


def test_a_decision_names_the_policies_that_made_it(shipped: PolicyEngine) -> None:
    allowed = shipped.decide(principal(("developer",)), "submitTask", resource("submitTask"), NOW)
    denied = shipped.decide(principal(("developer",)), "readTask", resource("readTask", tenant="beta"), NOW)

    assert allowed.policy_ids == ("developers-work",)
    assert denied.policy_ids == ("tenants-are-isolated",)


def test_an_unknown_action_is_denied_with_an_error(shipped: PolicyEngine) -> None:
    decision = shipped.decide(principal(("developer",)), "launchMissiles", resource("readTask"), NOW)

    assert not decision.allow
    assert "launchMissiles" in decision.errors[0]


def test_an_attribute_that_is_missing_is_denied_with_an_error(shipped: PolicyEngine) -> None:
    decision = shipped.decide(principal(("developer",)), "readTask", Entity("Task", "it"), NOW)

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

    assert not shipped.decide(hostile, "submitTask", resource("submitTask"), NOW).allow


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
    decision = shipped.decide(principal(("developer",)), "readTask", resource("readTask"), NOW | context)

    assert not decision.allow
    assert decision.errors


@pytest.mark.parametrize("service", get_args(subjects.Service))
@pytest.mark.parametrize("action", ASKED_BY_SERVICES)
def test_a_service_may_ask_what_its_nats_user_may_publish_and_nothing_else(
    shipped: PolicyEngine, service: subjects.Service, action: str
) -> None:
    enforced = ASKED_BY_SERVICES[action] in subjects.PERMISSIONS[service].publish

    own = shipped.decide(Entity("Workload", service, {"tenant": "acme"}), action, resource(action), NOW)
    foreign = shipped.decide(Entity("Workload", service, {"tenant": "acme"}), action, resource(action, "beta"), NOW)

    assert (own.allow, foreign.allow) == (enforced, False)


def test_every_endpoint_that_some_service_may_ask_has_an_action() -> None:
    published = {subject for granted in subjects.PERMISSIONS.values() for subject in granted.publish}

    assert {s for s in published if s.startswith(f"{subjects.ROOT}.rpc.")} <= {*ASKED_BY_SERVICES.values()}


# -- files that change while they are followed

LETS, FORBIDS = "permit(principal, action, resource);", "forbid(principal, action, resource);"


def allows(policies: Policies) -> bool:
    return policies.decide(Entity("Principal", "ada"), "use", Entity("Thing", "it")).allow


def test_a_changed_file_decides_after_two_looks_and_not_before(tmp_path: Path) -> None:
    policies = Policies(written(tmp_path, LETS))
    assert not policies.look()

    written(tmp_path, FORBIDS)
    seen = [(policies.look(), allows(policies)) for _ in range(3)]

    assert seen == [(False, True), (True, False), (False, False)]


def test_files_that_are_still_being_copied_are_not_taken(tmp_path: Path) -> None:
    """The first of two files would open what the second one closes."""
    policies = Policies(written(tmp_path, FORBIDS))

    written(tmp_path, LETS)
    taken = [policies.look()]
    (tmp_path / "second.cedar").write_text(FORBIDS)
    taken += [policies.look() for _ in range(2)]

    assert taken == [False, False, True]
    assert not allows(policies)


@pytest.mark.parametrize("name", ["rules.cedar", "schema.cedarschema"])
def test_the_last_good_set_decides_while_a_file_cannot_be_used(tmp_path: Path, name: str) -> None:
    policies = Policies(written(tmp_path, LETS))
    (tmp_path / name).write_text("permit (")
    (tmp_path / "more.cedar").write_text(FORBIDS)  # all files or none

    policies.look()
    with pytest.raises(PolicyError, match=name):
        policies.look()

    assert (policies.look(), policies.refused, allows(policies)) == (False, True, True)


def test_a_set_that_was_mended_decides_and_so_does_the_one_from_before(tmp_path: Path) -> None:
    for mended, allowed in ((FORBIDS, False), (LETS, True)):
        policies = Policies(written(tmp_path, LETS))
        (tmp_path / "rules.cedar").unlink()
        policies.look()
        with pytest.raises(PolicyError, match=r"no \*\.cedar file"):
            policies.look()

        written(tmp_path, mended)
        policies.look()

        assert (policies.look(), policies.refused, allows(policies)) == (True, False, allowed)


def test_who_has_no_good_set_yet_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"rules\.cedar: .*parse"):
        Policies(written(tmp_path, "permit ("))


def test_a_file_that_is_none_is_named_with_the_reason_in_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path, LETS)
    (folder / "folder.cedar").mkdir()

    with pytest.raises(PolicyError, match=r"folder\.cedar: Is a directory$"):
        PolicyEngine.load(folder)


def test_an_error_of_several_lines_is_told_in_one(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as refused:
        PolicyEngine.load(written(tmp_path, 'permit(principal, action == Worksite::Action::"used", resource);'))

    assert len(str(refused.value).splitlines()) == 1
    assert "used" in str(refused.value)
