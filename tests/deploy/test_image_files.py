"""Dockerfiles follow one pattern, and a linter finds nothing in them. No Docker needed."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from worksite.common.subjects import SERVICES
from worksite.validator.sandbox.settings import SandboxSettings

ROOT = Path(__file__).parents[2]
HADOLINT = Path(sys.executable).with_name("hadolint")
FILES = {name: ROOT / "services" / name / "Dockerfile" for name in SERVICES} | {"cli": ROOT / "libs/cli/Dockerfile"}
ALL = [*FILES.values(), *sorted((ROOT / "deploy").rglob("Dockerfile"))]
HAVE_A_STATE_DIR = {"gateway", "builder", "validator", "rag"}
USERS = {"validator": 20002}
RUN_GIT = {"architect", "builder", "validator"}


def instructions(name: str) -> list[str]:
    """One line each, without comments."""
    text = re.sub(r"^#.*\n", "", FILES[name].read_text(), flags=re.M)
    return [line for line in re.sub(r" *\\\n *", " ", text).splitlines() if line]


def pattern(name: str) -> list[str]:
    """The instructions of a Dockerfile, without what each service may have of its own."""
    text = "\n".join(instructions(name))
    for own, common in (
        (rf"\bworksite-{name}\b", "worksite-NAME"),
        (r'(description=)"[^"]*"', r"\1TEXT"),
        (r" && (mv|rm) /opt/.*| && rm -r /opt/.*", ""),
        (r"COPY --from=install /models .*\n", ""),
        (r"uninstall --yes --quiet( pip)? setuptools", "uninstall --yes --quiet setuptools"),
        (r"COPY dpkg.cfg .*\nRUN command -v git .*\n", ""),
        (r"RUN install -d .*\n", ""),
        (r"USER \d+:\d+", "USER"),
        (r"VOLUME .*\n", ""),
        (r" (BIND_HOST|\w+_PORT|\w+_DIR)=\S+", ""),
        (r"EXPOSE \d+\n", ""),
        (r"HEALTHCHECK .*", "HEALTHCHECK"),
        (r'ENTRYPOINT \["worksite(-NAME)?"\]', "ENTRYPOINT"),
    ):
        text = re.sub(own, common, text)
    return text.splitlines()


@pytest.mark.parametrize("name", FILES)
def test_a_dockerfile_follows_the_pattern_of_all(name):
    assert pattern(name) == pattern("admin")


@pytest.mark.parametrize("name", FILES)
def test_an_image_runs_its_program_as_a_user_who_is_not_root(name):
    lines = instructions(name)
    program = "worksite" if name == "cli" else f"worksite-{name}"
    user = USERS.get(name, 20001)
    assert [line for line in lines if line.startswith("USER")] == [f"USER {user}:{user}"]
    assert lines[-1] == f'ENTRYPOINT ["{program}"]'
    assert not any(line.startswith(("RUN", "COPY")) for line in lines[lines.index(f"USER {user}:{user}") :])


def test_nobody_elses_tasks_count_as_those_of_the_validators_candidates():
    sandboxes = range(SandboxSettings(Path()).uid, SandboxSettings(Path()).uid + 1000)  # one for each run, as root
    ours = {name: int(re.findall(r"^USER (\d+):", path.read_text(), re.M)[0]) for name, path in FILES.items()}
    assert ours.pop("validator") not in {*ours.values(), *sandboxes}
    assert not set(ours.values()) & set(sandboxes)


@pytest.mark.parametrize("name", SERVICES)
def test_a_health_check_asks_the_port_that_the_image_listens_on(name):
    text = "\n".join(instructions(name))
    (port,) = re.findall(r"^EXPOSE (\d+)$", text, re.M)
    assert re.findall(r"(?:OPS|DASHBOARD|ADMIN)_PORT=(\d+)", text).count(port) == 1
    assert f"http://127.0.0.1:{port}/healthz" in text


@pytest.mark.parametrize("name", FILES)
def test_only_who_has_state_has_a_volume_and_only_who_runs_git_has_git(name):
    text = "\n".join(instructions(name))
    assert ("VOLUME /var/lib/worksite" in text) == (name in HAVE_A_STATE_DIR)
    assert ("command -v git" in text) == (name in RUN_GIT)


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_hadolint_finds_nothing(path):
    config = ROOT / "deploy" / "images" / "hadolint.yaml"
    ran = subprocess.run([HADOLINT, "--config", config, path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_bill_of_materials_names_each_wheel_with_its_digest_and_license(tmp_path):
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    _make_wheel(wheel, "Name: Thing\nVersion: 1.0\nLicense-Expression: MIT\n")
    tool = ROOT / "deploy" / "images" / "sbom.py"
    printed = subprocess.run([sys.executable, tool, "rag", tmp_path], capture_output=True, check=True).stdout
    bill = json.loads(printed)
    (part,) = bill["components"]
    assert bill["metadata"]["component"]["name"] == "worksite-rag"
    assert (part["purl"], part["licenses"]) == ("pkg:pypi/thing@1.0", [{"license": {"id": "MIT"}}])
    assert re.fullmatch("[0-9a-f]{64}", part["hashes"][0]["content"])


def _make_wheel(path: Path, metadata: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", metadata)
