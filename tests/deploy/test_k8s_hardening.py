"""No container, of ours or of others, gets more than it needs."""

import pytest
from kustomized import COMBINATIONS, WORKLOADS, app, built, containers, of_kind, pod, workloads

CASES = [(combination, name) for combination in COMBINATIONS for name in WORKLOADS]
USERS = {"validator": 20002}
"""Whose tasks the kernel counts must not be those of the others on a node."""
of_each_pod = pytest.mark.parametrize(("combination", "name"), CASES)


@of_each_pod
def test_a_pod_is_nobody_in_particular_and_cannot_ask_the_cluster_for_anything(combination, name):
    spec = pod(workloads(built(combination))[name])
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == USERS.get(name, 20001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"} & spec.keys()
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


@of_each_pod
def test_a_token_in_a_pod_is_good_for_vault_alone(combination, name):
    tokens = [
        source["serviceAccountToken"]
        for volume in pod(workloads(built(combination))[name])["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if "serviceAccountToken" in source
    ]
    assert {token["audience"] for token in tokens} <= {"vault"}


@of_each_pod
def test_each_container_writes_nowhere_but_in_its_volumes_and_gains_no_rights(combination, name):
    for container in containers(workloads(built(combination))[name]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, container["name"]
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


@of_each_pod
def test_each_container_says_what_it_needs_and_what_it_may_take_at_most(combination, name):
    for container in containers(workloads(built(combination))[name]):
        for bound in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} == container["resources"][bound].keys(), container["name"]


@of_each_pod
def test_no_service_of_the_cluster_becomes_a_setting_by_its_variables(combination, name):
    """A Service `qdrant` would be QDRANT_PORT=tcp://… in every pod."""
    assert pod(workloads(built(combination))[name])["enableServiceLinks"] is False


@of_each_pod
def test_every_volume_that_is_mounted_is_there_and_the_other_way_round(combination, name):
    workload = workloads(built(combination))[name]
    claimed = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
    there = {volume["name"] for volume in pod(workload)["volumes"]} | claimed
    assert {mount["name"] for container in containers(workload) for mount in container["volumeMounts"]} == there


@of_each_pod
def test_each_workload_is_a_service_account_of_its_own(combination, name):
    manifests = built(combination)
    assert pod(workloads(manifests)[name])["serviceAccountName"] == name
    assert of_kind(manifests, "ServiceAccount")[name]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_namespace_admits_nothing_less(combination):
    (namespace,) = of_kind(built(combination), "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@of_each_pod
def test_the_image_is_one_version_and_not_whatever_is_newest(combination, name):
    for container in containers(workloads(built(combination))[name]):
        image, _, tag = container["image"].partition(":")
        assert image
        assert tag not in {"", "latest"}


@of_each_pod
def test_the_main_container_can_be_found_by_its_name(combination, name):
    assert app(workloads(built(combination))[name])
