"""Every overlay is built, and Kubernetes takes every manifest: its two newest versions, and the oldest of ours."""

import copy
import json
import re
from functools import cache
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as Unfit
from kubernetes_validate import utils
from kustomized import COMBINATIONS, K8S, WORKLOADS, built, extended, having, of_kind, workloads
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from referencing import Registry, Resource

NEWEST = list(dict.fromkeys(utils.all_versions()))[-2:]
OLDEST = "1.31.0"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Metadata(_Strict):
    name: str
    namespace: Literal["worksite"]
    labels: dict[str, str]


class _Endpoint(_Strict):
    port: str
    path: str
    interval: str = Field(pattern=r"^\d+s$")


class _Selector(_Strict):
    matchLabels: dict[str, str]


class _PodMonitorSpec(_Strict):
    jobLabel: str
    selector: _Selector
    podMetricsEndpoints: list[_Endpoint]


class PodMonitor(_Strict):
    apiVersion: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PodMonitor"]
    metadata: _Metadata
    spec: _PodMonitorSpec


class _Rule(_Strict):
    alert: str
    expr: str
    for_: str | None = Field(default=None, alias="for")
    labels: dict[str, str]
    annotations: dict[str, str]


class _Group(_Strict):
    name: str
    rules: list[_Rule] = Field(min_length=1)


class _PrometheusRuleSpec(_Strict):
    groups: list[_Group] = Field(min_length=1)


class PrometheusRule(_Strict):
    apiVersion: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PrometheusRule"]
    metadata: _Metadata
    spec: _PrometheusRuleSpec


class _Target(_Strict):
    name: str


class _Lag(_Strict):
    """All values are text, as KEDA's own parser takes them."""

    natsServerMonitoringEndpoint: str
    account: str
    stream: str
    consumer: str
    lagThreshold: str = Field(pattern=r"^\d+$")


class _Trigger(_Strict):
    type: Literal["nats-jetstream"]
    metadata: _Lag


class _ScaledObjectSpec(_Strict):
    scaleTargetRef: _Target
    minReplicaCount: int = Field(ge=1)
    maxReplicaCount: int
    pollingInterval: int
    triggers: list[_Trigger] = Field(min_length=1)
    advanced: dict[Literal["horizontalPodAutoscalerConfig"], dict[Literal["behavior"], dict]]


class ScaledObject(_Strict):
    apiVersion: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: _Metadata
    spec: _ScaledObjectSpec


OF_OPERATORS = {model.__name__: model for model in (PodMonitor, PrometheusRule, ScaledObject)}
"""Kinds that Kubernetes itself does not know: what we use of them, by hand from their operators' documentation."""


@cache
def check(manifest: str, version: str) -> None:
    """What kubernetes_validate.validate does, strictly, but once for what is the same in many overlays."""
    data = json.loads(manifest)
    api = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", data["apiVersion"])
    _validator(version, data["kind"].lower(), api).validate(data)


@cache
def _validator(version: str, kind: str, api: str) -> Draft202012Validator:
    schema = utils.schema_contents(f"kubernetes-json-schema/v{version}-local-strict/{kind}-{api}.json", version)
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    contents = utils.schema_contents(f"kubernetes-json-schema/v{version}-local-strict/_definitions.json", version)
    return Resource.from_contents(contents) @ Registry()


@pytest.mark.parametrize("version", [OLDEST, *NEWEST])
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_manifest_fits_the_schemas_of_kubernetes(combination, version):
    for manifest in built(combination):
        if manifest["kind"] not in OF_OPERATORS:
            check(json.dumps(manifest), version)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_manifest_of_an_operator_has_the_fields_that_it_takes_and_no_others(combination):
    for manifest in built(combination):
        if manifest["kind"] in OF_OPERATORS:
            OF_OPERATORS[manifest["kind"]].model_validate(manifest)


def test_a_misspelt_field_would_be_noticed():
    gateway = copy.deepcopy(of_kind(built("prod"), "Deployment")["gateway"])
    gateway["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(Unfit, match="terminationGracePeriod"):
        check(json.dumps(gateway), NEWEST[-1])

    scaled = copy.deepcopy(of_kind(built("prod-all"), "ScaledObject")["builder"])
    scaled["spec"]["triggers"][0]["metadata"]["lagThreshhold"] = "1"
    with pytest.raises(ValidationError):
        ScaledObject.model_validate(scaled)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_everything_lies_in_the_namespace_that_is_made(combination):
    manifests = built(combination)
    (namespace,) = of_kind(manifests, "Namespace")
    assert {each["metadata"].get("namespace") for each in manifests if each["kind"] != "Namespace"} == {namespace}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_no_overlay_brings_a_secret_of_its_own(combination):
    assert not of_kind(built(combination), "Secret")


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_overlay_is_the_whole_system(combination):
    assert workloads(built(combination)).keys() == set(WORKLOADS)


@pytest.mark.parametrize(
    ("component", "kind"),
    [
        ("network-policies", "NetworkPolicy"),
        ("pod-disruption-budgets", "PodDisruptionBudget"),
        ("observability", "PodMonitor"),
        ("observability", "PrometheusRule"),
        ("autoscaling", "ScaledObject"),
    ],
)
def test_an_overlay_has_what_its_components_bring_and_nothing_else(component, kind):
    assert [name for name in COMBINATIONS if of_kind(built(name), kind)] == having(component)


@pytest.mark.parametrize("component", ["observability", "autoscaling", "pod-disruption-budgets"])
def test_a_component_can_be_added_alone(component):
    added = [each for each in extended("dev", [component]) if each["kind"] not in {m["kind"] for m in built("dev")}]
    assert added
    assert {each["metadata"]["namespace"] for each in added} == {"worksite"}


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize(
    ("stage", "found"),
    [
        ("bus", {"ConfigMap", "ServiceAccount", "Service", "StatefulSet"}),
        ("provision", {"ServiceAccount", "Job"}),
        ("index", {"ServiceAccount", "Service", "StatefulSet"}),
        ("service", {"ConfigMap", "ServiceAccount", "Service", "Deployment"}),
    ],
)
def test_a_stage_of_an_upgrade_is_found_by_its_label(combination, stage, found):
    label = "app.kubernetes.io/component"
    kinds = {each["kind"] for each in built(combination) if each["metadata"].get("labels", {}).get(label) == stage}
    assert kinds == found


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_everything_says_what_it_is_part_of(combination):
    parts = {each["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") for each in built(combination)}
    assert parts == {"worksite"}


def test_the_oldest_version_is_the_one_that_people_are_told():
    assert f"Kubernetes {utils.major_minor(OLDEST)} or newer" in (K8S / "README.md").read_text()
