"""Who may read a store whole, whatever the tenant, and who may remove from one: as few as can be."""

import pytest
from worksite.common.subjects import PERMISSIONS, STORES

AGENTS = ("architect", "builder", "validator")


def stores(service, *verbs):
    """Those that one of these calls of JetStream's API reaches without the name of a subject."""
    granted = PERMISSIONS[service].publish
    return {store for store in STORES for verb in verbs if f"$JS.API.{verb}.{store}" in granted}


def read_whole(service):
    return stores(service, "DIRECT.GET", "STREAM.MSG.GET", "STREAM.INFO")


@pytest.mark.parametrize("service", AGENTS)
def test_an_agent_reads_nothing_whole_but_artifacts(service):
    assert read_whole(service) == {"OBJ_artifacts"}


def test_the_rag_engine_reads_nothing_whole_but_documents_and_results_of_tasks():
    assert read_whole("rag") == {"KV_documents", "OBJ_knowledge", "KV_tasks", "OBJ_artifacts"}  # ADR 0013


@pytest.mark.parametrize("service", PERMISSIONS)
def test_who_may_ask_a_leader_for_any_message_may_read_the_replicas_whole_or_write_every_key(service):
    own_rows = {f"KV_{key.removeprefix('$KV.')[:-2]}" for key in PERMISSIONS[service].publish if key.startswith("$KV.")}
    assert stores(service, "STREAM.MSG.GET") <= stores(service, "DIRECT.GET") | own_rows


def test_removing_is_for_the_two_that_collect():
    assert {service: stores(service, "STREAM.PURGE") for service in PERMISSIONS if stores(service, "STREAM.PURGE")} == {
        "admin": {"OBJ_artifacts"},
        "rag": {"OBJ_knowledge"},
    }


@pytest.mark.parametrize("service", PERMISSIONS)
def test_nobody_may_name_all_stores_at_once(service):
    calls = [subject for subject in PERMISSIONS[service].publish if subject.startswith("$JS.API.STREAM.")]
    assert not [subject for subject in calls if "*" in subject or ">" in subject]
