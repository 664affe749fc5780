"""Network policies: who may talk to whom follows from the subject table and from what each service can be set to reach.

All services meet on the bus and nowhere else, so there is no way from one to another. A setting that names a peer (a
Qdrant server, a model provider, …) opens the way to it; a service without that setting has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from pydantic.fields import FieldInfo
from worksite.common.settings import ServiceSettings
from worksite.common.subjects import PERMISSIONS

Rule = dict[str, Any]

NAME = "app.kubernetes.io/name"
CLIENTS, MONITORING, AUTOSCALER, SECRETS = (
    f"worksite/{role}" for role in ("clients", "monitoring", "autoscaler", "secrets")
)
"""Labels that an operator puts on namespaces: whose pods call the gateway, watch, scale, keep secrets."""
NATS_PORT, ROUTES_PORT, MONITOR_PORT, QDRANT_PORT, OTLP_PORT, VAULT_PORT = 4222, 6222, 8222, 6333, 4318, 8200
PROVISION = "provision"
KEPT_IN = frozenset({"validator"})
"""Could call a language model, and gets no key and no way to one (ADR 0018): it runs what others wrote."""
_NOT_PUBLIC = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_NOT_PUBLIC_V6 = ("fc00::/7", "fe80::/10")


def policies() -> list[dict[str, Any]]:
    """Nothing goes but what one of the others lets through."""
    denial = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return [
        _policy("default-deny", denial),
        *(_service(service) for service in PERMISSIONS),
        _workload(PROVISION, ingress=[], egress=[_dns(), _nats()]),
        _workload("nats", *_bus()),
        _workload("qdrant", ingress=[_from(_pods(_with("qdrant_host")), QDRANT_PORT)], egress=[]),
    ]


def settings_of(service: str) -> Mapping[str, FieldInfo]:
    """What a service can be set to, by name."""
    module = import_module(f"worksite.{service}.settings")
    settings: type[ServiceSettings] = getattr(module, f"{service.capitalize()}Settings")
    return settings.model_fields


def _service(service: str) -> dict[str, Any]:
    settings = settings_of(service)
    ways = {
        "otel_exporter_otlp_endpoint": _to([_namespace(MONITORING)], OTLP_PORT),
        "qdrant_host": _to(_pods(["qdrant"]), QDRANT_PORT),
    }
    egress = [_dns(), _nats(), _to([_namespace(SECRETS)], VAULT_PORT)]
    egress += [rule for setting, rule in ways.items() if setting in settings]
    if service not in KEPT_IN and {"jwt_jwks_url", "anthropic_api_key", "git_credentials"} & settings.keys():
        egress.append(_public_https())
    callers = [MONITORING, *([CLIENTS] if "dashboard_port" in settings else [])]
    return _workload(service, [_from([_namespace(label) for label in callers], "http")], egress)


def _bus() -> tuple[list[Rule], list[Rule]]:
    """Ingress and egress of the NATS servers: their clients, who watches them, and one another."""
    ingress = [
        _from(_pods([*PERMISSIONS, PROVISION]), NATS_PORT),
        _from(_pods(["nats"]), ROUTES_PORT),
        _from([_namespace(MONITORING), _namespace(AUTOSCALER)], MONITOR_PORT),
    ]
    return ingress, [_dns(), _to(_pods(["nats"]), ROUTES_PORT)]


def _with(setting: str) -> list[str]:
    return [service for service in PERMISSIONS if setting in settings_of(service)]


def _nats() -> Rule:
    return _to(_pods(["nats"]), NATS_PORT)


def _dns() -> Rule:
    servers = _namespace("kubernetes.io/metadata.name", "kube-system") | _pod("k8s-app", "kube-dns")
    return {"to": [servers], "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}


def _public_https() -> Rule:
    """Policies know no names: public addresses are reached, never the cluster's own or the cloud's metadata."""
    public = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_NOT_PUBLIC)}},
        {"ipBlock": {"cidr": "::/0", "except": list(_NOT_PUBLIC_V6)}},
    ]
    return _to(public, 443)


def _to(peers: Sequence[Rule], port: int | str) -> Rule:
    return {"to": list(peers), "ports": [{"port": port, "protocol": "TCP"}]}


def _from(peers: Sequence[Rule], port: int | str) -> Rule:
    return {"from": list(peers), "ports": [{"port": port, "protocol": "TCP"}]}


def _pods(names: Iterable[str]) -> list[Rule]:
    return [_pod(NAME, name) for name in names]


def _pod(label: str, value: str) -> Rule:
    return {"podSelector": {"matchLabels": {label: value}}}


def _namespace(label: str, value: str = "true") -> Rule:
    return {"namespaceSelector": {"matchLabels": {label: value}}}


def _workload(name: str, ingress: list[Rule], egress: list[Rule]) -> dict[str, Any]:
    return _policy(
        name, _pod(NAME, name) | {"policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": egress}
    )


def _policy(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}
