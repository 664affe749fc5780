"""The production overlay survives the loss of a node, and what scales it finds what it asks for."""

import re

import pytest
from kustomized import COMBINATIONS, NAME, app, built, config, environment, having, of_kind, pod, workloads
from worksite.common.subjects import CONSUMERS, SERVICES

PRODUCTION = [combination for combination, (overlay, _) in COMBINATIONS.items() if overlay == "prod"]
_UNITS = {"Gi": 2**30, "Mi": 2**20, "GB": 2**30, "MB": 2**20}
in_production = pytest.mark.parametrize("combination", PRODUCTION)


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()
    return int(number) * _UNITS[unit]


def fewest(manifests: list, service: str) -> int:
    scaled = of_kind(manifests, "ScaledObject").get(service)
    return scaled["spec"]["minReplicaCount"] if scaled else workloads(manifests)[service]["spec"]["replicas"]


@in_production
@pytest.mark.parametrize("service", SERVICES)
def test_there_are_two_of_each_service_at_least(combination, service):
    assert fewest(built(combination), service) >= 2


@in_production
@pytest.mark.parametrize("service", SERVICES)
def test_pods_of_one_service_are_spread_over_nodes_and_zones(combination, service):
    workload = workloads(built(combination))[service]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    constraints = pod(workload)["topologySpreadConstraints"]
    assert {each["topologyKey"] for each in constraints} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    for each in constraints:
        assert each["labelSelector"]["matchLabels"].items() <= labels.items()
        assert NAME in each["matchLabelKeys"]


@in_production
def test_three_servers_of_nats_are_never_two_on_one_node(combination):
    nats = workloads(built(combination))["nats"]
    assert nats["spec"]["replicas"] == 3
    assert {each["topologyKey"]: each["whenUnsatisfiable"] for each in pod(nats)["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname": "DoNotSchedule",
        "topology.kubernetes.io/zone": "ScheduleAnyway",
    }


@in_production
def test_every_stream_is_kept_by_all_three(combination):
    manifests = built(combination)
    assert environment(manifests, app(workloads(manifests)["provision"]))["STREAM_REPLICAS"] == "3"


@in_production
def test_services_and_servers_know_the_servers_by_names_that_there_are(combination):
    manifests = built(combination)
    nats = workloads(manifests)["nats"]
    headless = of_kind(manifests, "Service")[nats["spec"]["serviceName"]]
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    names = [f"nats-{n}.{headless['metadata']['name']}" for n in range(nats["spec"]["replicas"])]
    assert config(manifests, "worksite")["NATS_URL"] == ",".join(f"nats://{name}:4222" for name in names)
    routes = {name: value for name, value in environment(manifests, app(nats)).items() if "ROUTE" in name}
    assert list(routes.values()) == [f'"nats://route:$(NATS_PASSWORD_ROUTE)@{name}:6222"' for name in names]
    assert set(re.findall(r"\$(NATS_ROUTE_\d)", config(manifests, "nats")["nats.conf"])) == routes.keys()


@in_production
def test_a_variable_is_defined_before_another_one_uses_it(combination):
    """Kubernetes expands $(NAME) only then."""
    for workload in workloads(built(combination)).values():
        seen: set[str] = set()
        for each in app(workload).get("env", ()):
            assert set(re.findall(r"\$\((\w+)\)", each.get("value", ""))) <= seen
            seen.add(each["name"])


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_streams_fit_into_what_nats_may_use_and_that_into_four_fifths_of_the_disk(combination):
    manifests = built(combination)
    (provisioned,) = [
        int(found[1]) << 30
        for argument in app(workloads(manifests)["provision"])["args"]
        if (found := re.fullmatch(r"--disk-gib=(\d+)", argument))
    ]
    (limit,) = re.findall(r"max_file_store: (\w+)", config(manifests, "nats")["nats.conf"])
    (claim,) = workloads(manifests)["nats"]["spec"]["volumeClaimTemplates"]
    assert provisioned <= size(limit) <= 0.8 * size(claim["spec"]["resources"]["requests"]["storage"])


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_an_acknowledgement_means_the_disk_or_a_second_server(combination):
    manifests = built(combination)
    durable = "sync_interval: always" in config(manifests, "nats")["nats.conf"]
    assert durable or workloads(manifests)["nats"]["spec"]["replicas"] >= 3


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_server_of_nats_has_the_time_that_it_takes_to_hand_over(combination):
    manifests = built(combination)
    (seconds,) = re.findall(r"lame_duck_duration: (\d+)s", config(manifests, "nats")["nats.conf"])
    assert pod(workloads(manifests)["nats"])["terminationGracePeriodSeconds"] >= int(seconds) + 15


@pytest.mark.parametrize("combination", having("pod-disruption-budgets"))
def test_every_budget_is_of_one_workload_and_lets_its_nodes_be_drained(combination):
    manifests = built(combination)
    budgets = of_kind(manifests, "PodDisruptionBudget")
    assert budgets.keys() == {*SERVICES, "nats"}
    for name, budget in budgets.items():
        chosen = budget["spec"]["selector"]["matchLabels"].items()
        labelled = {
            each: workload["spec"]["template"]["metadata"]["labels"] for each, workload in workloads(manifests).items()
        }
        assert [each for each, labels in labelled.items() if chosen <= labels.items()] == [name]
        assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("combination", having("autoscaling"))
def test_what_scales_a_service_are_its_consumers(combination):
    manifests = built(combination)
    scaled = of_kind(manifests, "ScaledObject")
    asked = {
        (trigger["metadata"]["stream"], trigger["metadata"]["consumer"])
        for each in scaled.values()
        for trigger in each["spec"]["triggers"]
    }
    assert asked == {(consumer.stream, consumer.service) for consumer in CONSUMERS}
    for name, each in scaled.items():
        assert each["spec"]["scaleTargetRef"]["name"] == name
        assert {trigger["metadata"]["consumer"] for trigger in each["spec"]["triggers"]} == {name}
        assert "replicas" not in workloads(manifests)[name]["spec"], "each apply would undo what was scaled"


@pytest.mark.parametrize("combination", having("autoscaling"))
def test_what_scales_asks_where_nats_answers(combination):
    manifests = built(combination)
    (namespace,) = of_kind(manifests, "Namespace")
    service = of_kind(manifests, "Service")["nats-headless"]
    (port,) = [each["port"] for each in service["spec"]["ports"] if each["name"] == "monitor"]
    for each in of_kind(manifests, "ScaledObject").values():
        for trigger in each["spec"]["triggers"]:
            where = trigger["metadata"]["natsServerMonitoringEndpoint"]
            assert where == f"nats-headless.{namespace}.svc.cluster.local:{port}"


@pytest.mark.parametrize("combination", having("observability"))
def test_every_service_is_watched_as_a_job_of_its_own_name(combination):
    manifests = built(combination)
    (monitor,) = of_kind(manifests, "PodMonitor").values()
    spec = monitor["spec"]
    chosen = spec["selector"]["matchLabels"].items()
    watched = {
        workload["spec"]["template"]["metadata"]["labels"][spec["jobLabel"]]: workload
        for workload in workloads(manifests).values()
        if chosen <= workload["spec"]["template"]["metadata"]["labels"].items()
    }
    assert watched.keys() == set(SERVICES)
    for workload in watched.values():
        (endpoint,) = spec["podMetricsEndpoints"]
        assert endpoint["port"] in {each["name"] for each in app(workload)["ports"]}
        assert endpoint["path"] == "/metrics"


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_service_of_the_cluster_leads_to_pods_and_to_ports_that_they_have(combination):
    manifests = built(combination)
    for service in of_kind(manifests, "Service").values():
        chosen = service["spec"]["selector"].items()
        (behind,) = [
            each
            for each in workloads(manifests).values()
            if chosen <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= {
            each["name"] for each in app(behind)["ports"]
        }
