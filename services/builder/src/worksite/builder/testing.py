"""The builder's test kit: real git repositories, a real artifact store, commands as admin would send them."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from worksite.builder.coding import Modelling
from worksite.builder.handlers import handlers
from worksite.builder.settings import BuilderSettings
from worksite.common import blueprints
from worksite.common.artifacts import Artifacts
from worksite.common.messages import (
    ArchiveFormat,
    ArtifactRef,
    BlueprintChoice,
    BuildChange,
    Changeset,
    Criterion,
    DeliverBranch,
    Delivered,
    GitProject,
    ImportedProject,
    ImportProject,
    NewProject,
    ProjectSource,
    ReplyData,
    Spec,
    UploadedProject,
)
from worksite.common.testing.steps import step_context

TASK = "01990525fe007abcdef0123456789abc"
"""Submitted at NOW."""
TENANT = "acme"
NOW = datetime(2025, 9, 1, 12, tzinfo=UTC)
LINK = stat.S_IFLNK | 0o777
_GIT = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "protocol.file.allow=always")


def run_git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """What a person's git says, with nobody's configuration."""
    env = {"PATH": os.environ["PATH"], "HOME": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    done = subprocess.run([*_GIT, *arguments], cwd=folder, env=env, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class Origin:
    """Somebody's repository."""

    folder: Path

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *arguments: str, stdin: str = "") -> str:
        return run_git(self.folder, *arguments, stdin=stdin)

    def bundle(self, *options: str) -> bytes:
        """What a client would upload."""
        self.git("bundle", "create", "--quiet", "../upload.bundle", *(options or ("--all",)))
        return (self.folder.parent / "upload.bundle").read_bytes()

    def commit(self, **files: str) -> str:
        """Write the files (`__` stands for a dot) and commit; returns the commit."""
        for name, content in files.items():
            (self.folder / name.replace("__", ".")).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "work")
        return self.git("rev-parse", "HEAD")


@dataclass
class Desk:
    """The builder's handlers with everything around them."""

    artifacts: Artifacts
    state_dir: Path
    blueprints_dir: Path
    progress: list[str] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)
    modelling: Modelling | None = None

    @property
    def settings(self) -> BuilderSettings:
        folders = {"state_dir": self.state_dir, "blueprints_dir": self.blueprints_dir}
        reach = {"allow_file_urls": True, "allow_private_hosts": True}
        return BuilderSettings.model_validate(folders | reach | self.options)

    async def handle(self, command: ImportProject | BuildChange | DeliverBranch) -> ReplyData:
        async def note(text: str) -> None:
            self.progress.append(text)

        handler = handlers(self.settings, now=lambda: NOW, modelling=self.modelling)[type(command)]
        return (await handler(command, step_context(self.artifacts, note))).data

    async def import_git(self, url: str, ref: str | None = None, **options: object) -> ImportedProject:
        data = await self.handle(import_command(GitProject(git_url=url, ref=ref), **options))
        assert isinstance(data, ImportedProject)
        return data

    async def upload(self, data: bytes, kind: ArchiveFormat, ref: str | None = None) -> UploadedProject:
        """What the gateway makes of a client's upload."""
        archive = await self.artifacts.put(data, "application/octet-stream")
        return UploadedProject(archive=archive, format=kind, ref=ref)

    async def import_upload(
        self, data: bytes, kind: ArchiveFormat, ref: str | None = None, **options: object
    ) -> ImportedProject:
        imported = await self.handle(import_command(await self.upload(data, kind, ref), **options))
        assert isinstance(imported, ImportedProject)
        return imported

    async def import_new(self) -> ImportedProject:
        data = await self.handle(import_command(NewProject(name="shop")))
        assert isinstance(data, ImportedProject)
        return data

    async def build_command(self, project: ImportedProject, **options: object) -> BuildChange:
        """A command for the Spec that chooses `greeting`."""
        choice = self.choice(options.pop("parameters", {"package": "hello"}))
        spec = await self.artifacts.put_message(a_spec(choice))
        return build_command(spec, project, **options)

    async def build(self, command: BuildChange) -> Changeset:
        data = await self.handle(command)
        assert isinstance(data, Changeset)
        return data

    async def deliver(self, command: DeliverBranch) -> Delivered:
        data = await self.handle(command)
        assert isinstance(data, Delivered)
        return data

    def choice(self, parameters: object, name: str = "greeting") -> BlueprintChoice:
        folder = self.blueprints_dir / name
        manifest = blueprints.load(folder)
        pinned = {"name": name, "version": manifest.version, "digest": blueprints.digest(folder)}
        return BlueprintChoice.model_validate(pinned | {"parameters": parameters})

    async def unbundle(self, ref: ArtifactRef, folder: Path) -> Path:
        """A person's clone of a bundle."""
        bundle = folder.with_suffix(".bundle")
        bundle.write_bytes(await self.artifacts.get(ref))
        run_git(bundle.parent, "clone", "--quiet", str(bundle), str(folder))
        return folder

    def leftovers(self) -> list[Path]:
        return list((self.state_dir / "steps").glob("*"))


def import_command(source: ProjectSource, **options: object) -> ImportProject:
    fixed = {"task": TASK, "tenant": TENANT, "step": "1-import", "round": 0, "deadline": NOW + timedelta(hours=1)}
    return ImportProject.model_validate(fixed | {"source": source} | options)


def build_command(spec: ArtifactRef, project: ImportedProject, **options: object) -> BuildChange:
    fixed = {"task": TASK, "tenant": TENANT, "step": "3-build", "round": 1, "deadline": NOW + timedelta(hours=1)}
    return BuildChange.model_validate(fixed | {"spec": spec, "project": project} | options)


def deliver_command(source: ProjectSource, changeset: Changeset, **options: object) -> DeliverBranch:
    fixed = {"task": TASK, "tenant": TENANT, "step": "5-deliver", "round": 1, "deadline": NOW + timedelta(hours=1)}
    return DeliverBranch.model_validate(fixed | {"source": source, "changeset": changeset} | options)


def a_spec(choice: BlueprintChoice | None) -> Spec:
    criterion = Criterion(id="greets", statement="GET / greets.", grade="verified_io")
    return Spec(title="Greeting service", request="say hello", engine="test", criteria=(criterion,), blueprint=choice)


def a_zip(files: dict[str, str], modes: dict[str, int] | None = None) -> bytes:
    """Names and modes as they are given, whatever they may be."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.create_system = 3
            info.external_attr = (modes or {}).get(name, 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return output.getvalue()


def a_member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def a_tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return output.getvalue()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server that knows nothing of git."""
    with web_server(partial(SimpleHTTPRequestHandler, directory=str(folder))) as address:
        yield address


@contextmanager
def answering(status: int, body: str = "", location: str = "") -> Iterator[tuple[str, list[str]]]:
    """The address of a web server that answers everything alike, and the paths that it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location + self.path)
            self.end_headers()
            self.wfile.write(body.encode())

    with web_server(Answer) as address:
        yield address, asked


@contextmanager
def web_server(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a web server that answers as the handler does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
