"""The Compose file, its secrets and its example of an environment, without Docker."""

import os
import re
import stat
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from make_secrets import make_missing
from worksite.common.llm.settings import ModelSettings
from worksite.common.processes import nats_server
from worksite.common.subjects import SERVICES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
FILE = yaml.safe_load(TEXT)
CONTAINERS = FILE["services"]
OTHERS = {name: (FOLDER / f"compose.{name}.yaml").read_text() for name in ("observability", "vault", "ports")}
OBSERVABILITY, VAULT, PORTS = (yaml.safe_load(text)["services"] for text in OTHERS.values())
BESIDE = {name: each for name, each in (OBSERVABILITY | VAULT).items() if name not in SERVICES}
VARIABLES = re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", TEXT + "".join(OTHERS.values()))
CALL_MODELS = {"admin", "architect", "builder"}
NO_SECRETS = {"model_prices"}
"""What is mounted in the same way."""


def secrets_of(name: str) -> set[str]:
    return {each["source"] for each in CONTAINERS[name].get("secrets", [])}


def outward(name: str) -> set[str]:
    """Networks of a container that lead out of the machine."""
    return {each for each in CONTAINERS[name]["networks"] if not FILE["networks"][each].get("internal")}


@pytest.mark.parametrize("name", CONTAINERS | BESIDE)
def test_a_container_is_hardened_and_bounded(name):
    container = (CONTAINERS | BESIDE)[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "logging"} <= container.keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & container.keys()


def test_no_port_is_published_but_the_gateways():
    every = [*CONTAINERS.items(), *OBSERVABILITY.items(), *VAULT.items()]
    assert {name for name, container in every if "ports" in container} == {"gateway"}


def test_what_shows_the_ports_of_others_does_so_on_this_machine_alone():
    assert PORTS.keys() <= OBSERVABILITY.keys()
    assert all(port.startswith("127.0.0.1:") for each in PORTS.values() for port in each["ports"])


def test_the_validator_asks_nobody_for_names_outside():
    assert CONTAINERS["validator"]["dns"] == ["127.0.0.1"]


@pytest.mark.parametrize("name", SERVICES)
def test_with_vault_a_service_has_no_secret_as_a_file_but_the_one_it_signs_in_with(name):
    files = yaml.safe_load(OTHERS["vault"])["secrets"]
    (own,) = VAULT[name]["secrets"]
    assert own == {"source": f"{name}_secret_id", "target": "vault_secret_id"}
    assert files[own["source"]]["file"].endswith(f"/{name}/vault_secret_id")
    assert {files[each]["file"] for each in secrets_of(name) - NO_SECRETS} == {"${SECRETS:-./secrets}/none"}
    assert VAULT[name]["environment"]["VAULT_ROLE"] == name


def test_prometheus_asks_each_service_where_its_image_listens():
    scraped = yaml.safe_load((ROOT / "deploy" / "observability" / "prometheus.yaml").read_text())["scrape_configs"]
    for job in scraped:
        source = (ROOT / "services" / job["job_name"] / "Dockerfile").read_text()
        (port,) = re.findall(r"^EXPOSE (\d+)$", source, re.M)
        assert job["static_configs"] == [{"targets": [f"{job['job_name']}:{port}"]}]
        assert "watch" in CONTAINERS[job["job_name"]]["networks"]
    assert {job["job_name"] for job in scraped} == set(SERVICES)


def test_what_watches_gets_its_configuration_and_grafana_its_dashboards():
    folder, mounted = FOLDER.parent / "observability", {}
    for volume in (volume for each in OBSERVABILITY.values() for volume in each.get("volumes", ())):
        source, target, *_ = volume.split(":")
        if source.startswith("../"):
            mounted[target] = FOLDER / source
    assert all(path.exists() and path.resolve().is_relative_to(folder) for path in mounted.values())
    (provider,) = yaml.safe_load((folder / "grafana-dashboards.yaml").read_text())["providers"]
    assert list(mounted[provider["options"]["path"]].glob("*.json"))


def test_only_who_talks_to_others_outside_can():
    assert {name for name in CONTAINERS if outward(name)} == CALL_MODELS | {"gateway"}
    beside = [*OBSERVABILITY.items(), *VAULT.items()]
    assert {name for name, each in beside if set(each.get("networks", ())) - {"watch", "vault"}} == {"alertmanager"}


def test_nothing_but_rag_reaches_qdrant():
    assert {name for name, each in CONTAINERS.items() if "knowledge" in each["networks"]} == {"qdrant", "rag"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_its_own_secrets_and_no_others(name):
    own = {f"{name}_nats_password"}
    own |= {"issuer_key", "issuer_clients"} if name == "gateway" else set()
    own |= {"anthropic_api_key", "model_prices"} if name in CALL_MODELS else set()
    own |= {"git_credentials"} if name == "builder" else set()
    assert secrets_of(name) == own
    assert CONTAINERS[name]["environment"]["NATS_USER"] == name


@pytest.mark.parametrize("name", SERVICES)
def test_who_calls_models_can_be_given_all_that_one_can_say_of_them(name):
    """But the key, which is a file, and the folder of the prompts, which is the image's."""
    said = {each.upper() for each in ModelSettings.model_fields} - {"ANTHROPIC_API_KEY", "PROMPTS_DIR"}
    given = {each for each, value in CONTAINERS[name]["environment"].items() if value == f"${{{each}:-}}"}
    assert (said <= given) == (name in CALL_MODELS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_when_nats_is_well_and_the_streams_are_there(name):
    assert CONTAINERS[name]["depends_on"] == {
        "nats": {"condition": "service_healthy"},
        "provision": {"condition": "service_completed_successfully"},
    }


def test_whatever_runs_says_whether_it_is_well():
    """Our services by their images; the collector's image has nothing that could ask it."""
    without = {name for name, each in (CONTAINERS | BESIDE).items() if "healthcheck" not in each}
    assert without - set(SERVICES) == {"provision", "otel-collector"}


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_qdrants_health_check_knows_a_server_that_is_ready_from_another(status, well):
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        _, *command = CONTAINERS["qdrant"]["healthcheck"]["test"]
        here = [part.replace("/6333", f"/{server.server_port}") for part in command]
        try:
            ran = subprocess.run(here, capture_output=True, timeout=60, check=False)
        finally:
            server.shutdown()
            thread.join()
    assert here != command
    assert (ran.returncode == 0) == well


def test_a_service_with_state_keeps_it_in_a_volume_of_its_own():
    for name in SERVICES:
        source = (ROOT / "services" / name / "Dockerfile").read_text()
        kept = [f"{name}:/var/lib/worksite"] if "VOLUME" in source else []
        assert CONTAINERS[name].get("volumes", []) == kept


def test_compose_and_kubernetes_run_the_same_versions():
    images = yaml.safe_load((ROOT / "deploy" / "k8s" / "base" / "kustomization.yaml").read_text())["images"]
    tags = {each["name"]: each["newTag"] for each in images}
    assert f"nats:{tags['nats']}}}" in CONTAINERS["nats"]["image"]
    assert f"qdrant/qdrant:{tags['qdrant/qdrant']}-unprivileged}}" in CONTAINERS["qdrant"]["image"]
    assert {tags[f"worksite/{name}"] for name in (*SERVICES, "cli")} == {"0.1.0"}


def test_the_example_names_each_variable_of_the_file_with_a_comment_and_nothing_else():
    example = (FOLDER / ".env.example").read_text()
    found = re.findall(r"^# .+\n([A-Z][A-Z0-9_]*)=", example, re.M)
    assert len(found) == len(re.findall(r"^[A-Z][A-Z0-9_]*=", example, re.M)), "a variable has no comment"
    assert set(found) == {name for name, _ in VARIABLES}


def test_a_default_that_the_example_shows_is_the_files():
    example = dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.+)$", (FOLDER / ".env.example").read_text(), re.M))
    for name, default in VARIABLES:
        assert not default or example[name] == default


def make_secrets(folder: Path) -> dict[str, str]:
    make_missing(folder)
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_secrets_are_made_once_and_only_what_is_missing_is_made_later(tmp_path):
    folder = tmp_path / "secrets"
    first = make_secrets(folder)
    (folder / "rag" / "nats_password").unlink()
    (folder / "anthropic_api_key").chmod(0o644)
    (folder / "anthropic_api_key").write_text("mine")
    second = make_secrets(folder)
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"rag/nats_password", "nats.conf", "anthropic_api_key", "openbao.hcl"}
    assert second["anthropic_api_key"] == "mine"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mask", [0o077, 0o027])
def test_containers_may_read_what_a_strict_umask_would_hide(tmp_path, mask):
    folder = tmp_path / "secrets"
    before = os.umask(mask)
    try:
        make_missing(folder)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o644}, modes


def test_there_is_a_file_for_each_secret_of_the_file(tmp_path):
    made = make_secrets(tmp_path / "secrets")
    every = [FILE, *map(yaml.safe_load, OTHERS.values())]
    files = [each["file"] for file in every for each in file.get("secrets", {}).values()]
    named = {each.removeprefix("${SECRETS:-./secrets}/") for each in files}
    assert named <= made.keys()


def test_nats_takes_its_configuration_and_the_size_of_its_store(tmp_path):
    make_secrets(tmp_path / "secrets")
    (size,) = re.findall(r"NATS_MAX_STORE: \"\$\{NATS_DISK_GIB:-(\d+)\}GiB\"", TEXT)
    environment = {**os.environ, "NATS_MAX_STORE": f"{size}GiB"}
    command = [nats_server(), "-t", "-c", tmp_path / "secrets" / "nats.conf"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0  # it does read the variable
