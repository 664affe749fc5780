"""A real sandbox, opened once, and small repositories to judge in it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from worksite.common.ids import new_id
from worksite.common.messages import (
    ArtifactRef,
    Changeset,
    Harness,
    ImportedProject,
    Judgement,
    Message,
    Report,
    Spec,
    TestFile,
    ValidateChange,
)
from worksite.common.testing.steps import step_context
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench, Version
from worksite.validator.domain.cases import Suite
from worksite.validator.environment import NO_DEPENDENCIES
from worksite.validator.handlers import validate
from worksite.validator.main import open_bench
from worksite.validator.settings import ValidatorSettings
from worksite.validator.tree import Tree

REPOSITORY = Path(__file__).parents[3]
STATE = REPOSITORY / ".worksite" / "validator-tests"
WHEELHOUSE = REPOSITORY / ".worksite" / "wheelhouse"


@pytest.fixture(scope="session")
def bench() -> Bench:
    """What the service itself opens, with its environments kept between runs of the suite."""
    settings = ValidatorSettings(state_dir=STATE, wheelhouse_dir=WHEELHOUSE if WHEELHOUSE.is_dir() else None)
    return asyncio.run(open_bench(settings))


@dataclass
class MemoryArtifacts:
    """The artifact store's behaviour on a dictionary."""

    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])

    async def put(self, data: bytes, media_type: str) -> ArtifactRef:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return ArtifactRef(sha256=digest, size=len(data), media_type=media_type)

    async def put_message(self, message: Message) -> ArtifactRef:
        return await self.put(message.to_json(), "application/json")

    async def get(self, ref: ArtifactRef) -> bytes:
        return self.blobs[ref.sha256]


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    """An empty store."""
    return MemoryArtifacts()


@dataclass
class Project:
    """A git repository in the making; each commit replaces the whole tree."""

    directory: Path

    def __post_init__(self) -> None:
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        identity = {
            f"GIT_{who}_{what}": "test@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        env = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **identity}
        done = subprocess.run(
            ["git", *arguments], cwd=self.directory, env=env, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str]) -> str:
        """A commit of exactly these files; its hash."""
        self.git("rm", "-r", "-q", "--ignore-unmatch", ".")
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all", "--force")
        return self.commit_index()

    def commit_index(self) -> str:
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def bundle(self) -> bytes:
        file = self.directory / ".git" / "all.bundle"
        self.git("bundle", "create", "--quiet", str(file), "--all")
        return file.read_bytes()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    directory = tmp_path / "project"
    directory.mkdir()
    return Project(directory)


@pytest.fixture
def write_tree(tmp_path: Path) -> Callable[[Mapping[str, str]], Tree]:
    """These files, as a tree to judge."""

    def write(files: Mapping[str, str]) -> Tree:
        directory = tmp_path / "tree"
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return Tree(directory, tuple(sorted(files)))

    return write


@pytest.fixture
def examine_project(bench: Bench, write_tree: Callable[..., Tree]) -> Callable[..., Suite]:
    """Examine a project of these files, without dependencies, by one acceptance test module."""

    def run(files: Mapping[str, str], test: str, harness: Harness | None = None) -> Suite:
        tests = (TestFile(path="acceptance/test_calc.py", content=test),)
        return asyncio.run(examine(bench, Version(write_tree(files), NO_DEPENDENCIES), harness, tests))

    return run


@dataclass
class Judged:
    """What came of a judgement."""

    judgement: Judgement
    report: Report
    document: str
    progress: list[str]

    def check(self, name: str):
        return next(check for check in self.report.checks if check.name == name)

    def criterion(self, identity: str):
        return next(each for each in self.report.criteria if each.id == identity)


@pytest.fixture
def judge(bench: Bench, project: Project) -> Callable[..., Judged]:
    """Judge `head` of the project by a Spec, compared with `base` if there is one; `reviewed`: as a person's change."""

    def run(spec: Spec, head: str, base: str | None = None, *, reviewed: bool = False) -> Judged:
        return asyncio.run(judge_bundle(bench, spec, project.bundle(), head, base, reviewed))

    return run


@pytest.fixture
def start_judging(bench: Bench, project: Project) -> Callable[..., Awaitable[Judged]]:
    """The same, for a test that has an event loop of its own."""

    async def run(spec: Spec, head: str, base: str | None = None) -> Judged:
        return await judge_bundle(bench, spec, project.bundle(), head, base)

    return run


@pytest.fixture
def make_command(project: Project) -> Callable[..., Awaitable[ValidateChange]]:
    """A command about `head` of the project, with its artifacts stored."""

    async def make(artifacts: Any, spec: Spec, head: str, base: str | None = None) -> ValidateChange:
        return await _command(artifacts, spec, project.bundle(), head, base)

    return make


async def judge_bundle(
    bench: Bench, spec: Spec, bundle: bytes, head: str, base: str | None, reviewed: bool = False
) -> Judged:
    artifacts: Any = MemoryArtifacts()
    progress: list[str] = []

    async def tell(text: str) -> None:
        progress.append(text)

    command = await _command(artifacts, spec, bundle, head, base)
    if reviewed:
        project = command.project.model_copy(update={"changeset": command.changeset, "empty": False})
        command = command.model_copy(update={"project": project})
    reply = await validate(bench, command, step_context(artifacts, tell))
    assert isinstance(reply.data, Judgement)
    report = Report.consume(await artifacts.get(reply.data.report))
    document = (await artifacts.get(reply.data.document)).decode()
    return Judged(reply.data, report, document, progress)


async def _command(artifacts: Any, spec: Spec, bundle: bytes, head: str, base: str | None) -> ValidateChange:
    packed = await artifacts.put(bundle, "application/x-git-bundle")
    changeset = Changeset(
        base_sha=base or head,
        head_sha=head,
        branch="worksite/test",
        bundle=packed,
        archive=packed,
        summary="",
        engine="test",
        files_changed=1,
    )
    return ValidateChange(
        task=new_id(),
        tenant="acme",
        step="4-validate",
        round=1,
        deadline=datetime(2100, 1, 1, tzinfo=UTC),
        spec=await artifacts.put_message(spec),
        project=ImportedProject(base_sha=base or head, bundle=packed, empty=base is None),
        changeset=changeset,
    )
