"""Who may talk to whom, found by reading the policies as a cluster would."""

from functools import cache

import pytest
from kustomized import COMBINATIONS, K8S, NAME, WORKLOADS, app, built, of_kind, workloads
from worksite.common.subjects import PERMISSIONS

PUBLIC, METADATA_OF_CLOUDS = "0.0.0.0/0", "169.254.0.0/16"


@cache
def policies() -> list[dict]:
    return list(of_kind(built("prod"), "NetworkPolicy").values())


@cache
def pods() -> dict[str, dict]:
    return workloads(built("prod"))


def selected(selector: dict, workload: dict) -> bool:
    return selector.get("matchLabels", {}).items() <= workload["spec"]["template"]["metadata"]["labels"].items()


def number(port: int | str, workload: dict) -> int:
    if isinstance(port, int):
        return port
    return next(each["containerPort"] for each in app(workload)["ports"] if each["name"] == port)


def ways(workload: dict, direction: str) -> set[tuple[str, int]]:
    """(peer, port) of every rule on a pod; a peer is a workload's name, or a namespace's label, or an address block."""
    key = {"egress": "to", "ingress": "from"}[direction]
    found = set()
    for policy in policies():
        if selected(policy["spec"]["podSelector"], workload):
            for rule in policy["spec"].get(direction, ()):
                assert rule[key], "an empty list of peers is everybody"
                found |= {(peer, port["port"]) for each in rule[key] for peer in peers(each) for port in rule["ports"]}
    return found


def peers(peer: dict) -> list[str]:
    if "ipBlock" in peer:
        return [peer["ipBlock"]["cidr"]]
    if "namespaceSelector" in peer:
        ((label, value),) = peer["namespaceSelector"]["matchLabels"].items()
        return [value if label == "kubernetes.io/metadata.name" else label]
    named = [name for name, workload in pods().items() if selected(peer["podSelector"], workload)]
    assert named, f"nothing is called {peer}"
    return named


def test_nothing_goes_in_or_out_unless_a_policy_lets_it():
    (denial,) = [each for each in policies() if each["spec"]["podSelector"] == {}]
    assert set(denial["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert not {"ingress", "egress"} & denial["spec"].keys()


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_overlay_has_the_policies(combination):
    assert of_kind(built(combination), "NetworkPolicy").keys() == {"default-deny", *pods()}


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_has_a_policy_of_its_own(name):
    (own,) = [
        each
        for each in policies()
        if each["spec"]["podSelector"] and selected(each["spec"]["podSelector"], pods()[name])
    ]
    assert set(own["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def test_pods_meet_on_the_bus_and_rag_alone_at_the_index():
    inside = {(name, peer, port) for name in pods() for peer, port in ways(pods()[name], "egress") if peer in pods()}
    assert inside == {
        *((service, "nats", 4222) for service in PERMISSIONS),
        ("provision", "nats", 4222),
        ("nats", "nats", 6222),
        ("rag", "qdrant", 6333),
    }


def test_both_ends_of_a_way_agree():
    out = {(name, peer, port) for name in pods() for peer, port in ways(pods()[name], "egress") if peer in pods()}
    into = {
        (peer, name, number(port, pods()[name]))
        for name in pods()
        for peer, port in ways(pods()[name], "ingress")
        if peer in pods()
    }
    assert out == into


def test_a_port_that_is_reached_is_one_that_is_listened_on():
    for name in pods():
        for _, port in ways(pods()[name], "ingress"):
            assert number(port, pods()[name]) in {each["containerPort"] for each in app(pods()[name])["ports"]}


def test_public_addresses_are_for_those_who_fetch_keys_call_models_or_git_hosts():
    public = {name for name in pods() if (PUBLIC, 443) in ways(pods()[name], "egress")}
    assert public == {"gateway", "admin", "architect", "builder"}


def test_what_judges_foreign_code_reaches_the_bus_and_names_and_what_operators_add():
    assert ways(pods()["validator"], "egress") == {
        ("kube-system", 53),
        ("nats", 4222),
        ("worksite/monitoring", 4318),
        ("worksite/secrets", 8200),
    }


def test_public_addresses_leave_out_the_cluster_and_the_clouds_own():
    blocks = [
        each["ipBlock"]
        for policy in policies()
        for rule in policy["spec"].get("egress", ())
        for each in rule["to"]
        if "ipBlock" in each
    ]
    for block in blocks:
        private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", METADATA_OF_CLOUDS}
        assert set(block["except"]) >= (private if block["cidr"] == PUBLIC else {"fc00::/7", "fe80::/10"})


def test_only_the_gateway_is_called_from_outside():
    called = {name for name in pods() if ("worksite/clients", "http") in ways(pods()[name], "ingress")}
    assert called == {"gateway"}


def test_every_label_that_opens_a_way_is_explained():
    named = {
        peer for name in pods() for direction in ("ingress", "egress") for peer, _ in ways(pods()[name], direction)
    }
    labels = {peer for peer in named if peer.startswith("worksite/")}
    readme = (K8S / "README.md").read_text()
    assert len(labels) == 4
    assert {label for label in labels if label not in readme} == set()


def test_a_policy_selects_pods_by_the_name_that_they_carry():
    for name, workload in pods().items():
        assert workload["spec"]["template"]["metadata"]["labels"][NAME] == name
