"""The two ways to have a case judged: by the validator's handler, or through a running stack's `review` route."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cases import Case
from worksite.architect.domain.specification import spec_for_review
from worksite.common.ids import new_id
from worksite.common.messages import ArtifactRef, Changeset, ImportedProject, Judgement, Message, Report, ValidateChange
from worksite.common.testing.steps import step_context
from worksite.validator.bench import Bench
from worksite.validator.handlers import validate

ROOT = Path(__file__).parents[2]
_IDENTITY = {
    f"GIT_{who}_{what}": "calibration@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


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


class Repository:
    """A case as a repository with `main` (its base) and `change` (what is judged)."""

    def __init__(self, case: Case, directory: Path) -> None:
        self.directory = directory
        self.git("init", "--quiet", "--initial-branch=main")
        self.base = self._commit(case.base)
        self.git("switch", "--quiet", "--create", "change")
        self.head = self._commit(case.head)

    def git(self, *arguments: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **_IDENTITY}
        done = subprocess.run(["git", *arguments], cwd=self.directory, env=env, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def bundle(self) -> bytes:
        file = self.directory / ".git" / "all.bundle"
        self.git("bundle", "create", "--quiet", str(file), "--all")
        return file.read_bytes()

    def _commit(self, files: Mapping[str, str]) -> str:
        self.git("rm", "-r", "-q", "--ignore-unmatch", ".")
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


async def judge_here(bench: Bench, case: Case) -> Report:
    """By the Spec that the architect writes for a review, and the validator's handler."""
    artifacts: Any = MemoryArtifacts()
    with TemporaryDirectory() as directory:
        repository = await asyncio.to_thread(Repository, case, Path(directory))
        packed = await artifacts.put(repository.bundle(), "application/x-git-bundle")
    base, head = repository.base, repository.head
    changeset = Changeset(
        base_sha=base,
        head_sha=head,
        branch="change",
        bundle=packed,
        archive=packed,
        summary="",
        engine="calibration",
        files_changed=1,
    )
    command = ValidateChange(
        task=new_id(),
        tenant="calibration",
        step="3-validate",
        round=1,
        deadline=datetime(2100, 1, 1, tzinfo=UTC),
        spec=await artifacts.put_message(spec_for_review(case.request, case.criteria)),
        project=ImportedProject(base_sha=base, bundle=packed, empty=False, changeset=changeset),
        changeset=changeset,
    )
    reply = await validate(bench, command, step_context(artifacts, _quiet))
    assert isinstance(reply.data, Judgement)
    return Report.consume(await artifacts.get(reply.data.report))


async def _quiet(_: str) -> None:
    return None


async def judge_by_route(state: Path, case: Case) -> Report:
    """`worksite review` against the running stack whose state this is."""
    with TemporaryDirectory() as directory:
        place = Path(directory)
        (place / case.subject).mkdir()
        repository = await asyncio.to_thread(Repository, case, place / case.subject)
        criteria = [{"statement": each.statement, "test": each.test} for each in case.criteria]
        (place / "criteria.json").write_text(json.dumps(criteria))
        options = ["--ref", "change", "--base", "main", "--criteria", str(place / "criteria.json")]
        places = ["--state", str(state), "--out", str(place / "out")]
        command = [sys.executable, "-m", "worksite.cli.main", "review", str(repository.directory), *options, *places]
        review = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await review.communicate()
        reports = list((place / "out").glob("*/report.json"))
        if not reports:
            raise RuntimeError(f"{case.id} was not judged: {said.decode()[-2000:]}")
        return Report.consume(reports[0].read_bytes())
