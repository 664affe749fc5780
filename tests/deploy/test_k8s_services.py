"""What the manifests say of our services agrees with the services' code."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module

import pytest
from kustomized import (
    COMBINATIONS,
    K8S,
    ROOT,
    app,
    built,
    config,
    containers,
    environment,
    having,
    of_kind,
    pod,
    secret_files,
    secret_references,
    workloads,
)
from new_secrets_of import made_secrets, new_secrets
from pydantic import SecretStr
from worksite.common.settings import ServiceSettings, load
from worksite.common.subjects import PERMISSIONS, SERVICES

CASES = [(combination, service) for combination in COMBINATIONS for service in SERVICES]
of_each_service = pytest.mark.parametrize(("combination", "service"), CASES)
OF_THE_PROCESS = {"HOME", "PYTHONUNBUFFERED", "SECRETS_DIR"}
AFTER_GRACE_SECONDS = 15
"""What may come after GRACE_SECONDS: uvicorn's 3 s, the bus's 3 s of drain, the export of the last traces."""


def settings(service: str) -> type[ServiceSettings]:
    return getattr(import_module(f"worksite.{service}.settings"), f"{service.capitalize()}Settings")


def every_reference(combination: str) -> list[dict]:
    """Of all workloads, as a variable or as a file."""
    found = workloads(built(combination))
    files = [reference for name in SERVICES for reference in secret_files(found[name]).values()]
    every = [container for workload in found.values() for container in containers(workload)]
    return files + [reference for container in every for reference in secret_references(container).values()]


@of_each_service
def test_every_variable_is_a_setting_of_the_service(combination, service):
    manifests = built(combination)
    container = app(workloads(manifests)[service])
    named = environment(manifests, container).keys() | {each["name"] for each in container["env"]}
    assert named - OF_THE_PROCESS <= {name.upper() for name in settings(service).model_fields}


@of_each_service
def test_the_service_takes_the_values_that_it_is_given(combination, service, monkeypatch, tmp_path):
    manifests = built(combination)
    workload = workloads(manifests)[service]
    container = app(workload)
    for name in os.environ.keys() & {name.upper() for name in settings(service).model_fields}:
        monkeypatch.delenv(name)
    for name, value in environment(manifests, container).items():
        if name not in OF_THE_PROCESS:
            monkeypatch.setenv(name, value)
    for name, reference in secret_files(workload).items():
        if value := made_secrets().get(reference["name"], {}).get(reference["key"]):
            (tmp_path / name).write_text(value)
    if combination in having("vault"):
        (tmp_path / "issuer_key").write_text(made_secrets()["worksite-gateway"]["issuer-key"])  # by the agent
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    loaded = load(settings(service))
    assert loaded.bind_host == "0.0.0.0"
    assert (loaded.nats_password is None) == (combination in having("vault"))


@of_each_service
def test_a_secret_is_never_written_down(combination, service):
    manifests = built(combination)
    container = app(workloads(manifests)[service])
    secret = {
        name.upper()
        for name, field in settings(service).model_fields.items()
        if field.annotation in {SecretStr, SecretStr | None}
    }
    assert secret
    assert not secret & environment(manifests, container).keys()


@of_each_service
def test_a_service_is_given_its_own_password_and_no_other(combination, service):
    references = secret_files(workloads(built(combination))[service]).values()
    of_the_bus = [reference["key"] for reference in references if reference["name"] == "worksite-nats"]
    assert of_the_bus == ([] if combination in having("vault") else [service])


@of_each_service
def test_secrets_are_files_which_can_change_under_a_service_that_runs(combination, service):
    """A variable stays what it was until the pod is replaced, and so does a file that is mounted by a subPath."""
    manifests = built(combination)
    container = app(workloads(manifests)[service])
    given = environment(manifests, container)["SECRETS_DIR"]
    assert not secret_references(container)
    assert {"name": "secrets", "mountPath": given, "readOnly": True} in container["volumeMounts"]
    assert "SECRETS_SOURCE" not in environment(manifests, container)


@of_each_service
def test_a_file_of_a_secret_has_the_name_of_a_setting_that_is_one(combination, service):
    known = {
        name
        for name, field in settings(service).model_fields.items()
        if field.annotation in {SecretStr, SecretStr | None}
    }
    assert secret_files(workloads(built(combination))[service]).keys() <= known


@of_each_service
def test_with_vault_every_secret_comes_from_there(combination, service):
    files = secret_files(workloads(built(combination))[service])
    assert (not files) == (combination in having("vault"))


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_secret_is_one_that_a_new_installation_makes_or_may_be_missing(combination):
    for reference in every_reference(combination):
        made = reference["key"] in made_secrets().get(reference["name"], {})
        assert made or reference.get("optional"), reference


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_secret_that_may_be_missing_is_explained(combination):
    readme = (K8S / "README.md").read_text()
    for reference in every_reference(combination):
        assert reference["name"] in readme
        assert reference["key"] in readme or reference["name"] == "worksite-nats"


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_config_map_that_is_read_is_there(combination):
    manifests = built(combination)
    there = of_kind(manifests, "ConfigMap").keys() | {"vault-ca"}  # the operator's: README.md
    for workload in workloads(manifests).values():
        maps = [volume["configMap"] for volume in pod(workload)["volumes"] if "configMap" in volume]
        named = {each["name"] for each in maps if not each.get("optional")}
        for container in containers(workload):
            named |= {source["configMapRef"]["name"] for source in container.get("envFrom", ())}
        assert named <= there


@of_each_service
def test_each_service_that_calls_models_has_the_key_and_the_budgets_and_no_other_has(combination, service):
    manifests = built(combination)
    workload = workloads(manifests)[service]
    calls = "anthropic_api_key" in settings(service).model_fields and service != "validator"  # ADR 0018
    assert ("BUDGET_TENANT_USD" in environment(manifests, app(workload))) == calls
    assert ("model-prices" in {mount["name"] for mount in app(workload)["volumeMounts"]}) == calls
    if combination not in having("vault"):
        assert ("anthropic_api_key" in secret_files(workload)) == calls


@of_each_service
def test_a_service_is_its_own_image_in_the_version_of_its_code(combination, service):
    project = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())["project"]
    assert app(workloads(built(combination))[service])["image"] == f"worksite/{service}:{project['version']}"


@of_each_service
def test_probes_ask_where_the_service_answers(combination, service):
    manifests = built(combination)
    container = app(workloads(manifests)[service])
    given = environment(manifests, container)
    variable = {"gateway": "DASHBOARD_PORT", "admin": "ADMIN_PORT"}.get(service, "OPS_PORT")
    assert container["ports"] == [{"name": "http", "containerPort": int(given[variable])}]
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/healthz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }


@of_each_service
def test_a_pod_is_given_the_time_that_its_service_takes_to_end(combination, service):
    manifests = built(combination)
    workload = workloads(manifests)[service]
    before = app(workload).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = float(environment(manifests, app(workload))["GRACE_SECONDS"])
    assert pod(workload)["terminationGracePeriodSeconds"] >= before + drain + AFTER_GRACE_SECONDS


@of_each_service
def test_a_rollout_takes_no_pod_away_before_another_one_is_ready(combination, service):
    assert workloads(built(combination))[service]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@of_each_service
def test_a_service_keeps_its_state_in_a_volume(combination, service):
    manifests = built(combination)
    container = app(workloads(manifests)[service])
    if "state_dir" in settings(service).model_fields:
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert environment(manifests, container)["STATE_DIR"] in mounted


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_user_of_the_bus_is_known_to_its_servers(combination):
    manifests = built(combination)
    nats = app(workloads(manifests)["nats"])
    users = config(manifests, "nats")["users.conf"]
    for user in (*PERMISSIONS, "provision", "monitor"):
        variable = f"NATS_PASSWORD_{user.upper()}"
        assert re.search(rf'"user": "{user}",\s+"password": \${variable}\b', users)
        assert secret_references(nats)[variable] == {"name": "worksite-nats", "key": user}


def test_passwords_are_new_each_time_and_no_number_to_the_configuration_of_nats():
    again = new_secrets()["worksite-nats"]
    assert not set(again.values()) & set(made_secrets()["worksite-nats"].values())
    assert all(re.fullmatch(r"[A-Za-z]{43}", password) for password in again.values())


def test_what_follows_from_the_code_is_up_to_date():
    command = [sys.executable, K8S / "tools" / "generate.py", "--check"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
