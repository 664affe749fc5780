"""What a builder asks the validator while it builds: would the project's own checks speak against this?"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages.artifacts import ArtifactRef
from worksite.common.messages.base import CommitSha, Message, Tenant
from worksite.common.messages.replies import ImportedProject


class CheckCandidate(Message):
    """Asks for a run of the project's tests and of lint; nothing is recorded, and no verdict comes of it."""

    type: Literal["check_candidate"] = "check_candidate"
    tenant: Tenant
    spec: ArtifactRef
    project: ImportedProject
    head_sha: CommitSha = Field(description="the candidate, a commit on the project's base")
    commits: ArtifactRef = Field(description="a bundle of what the candidate has beside its base")


class CandidateChecked(Message):
    """For a model to read."""

    type: Literal["candidate_checked"] = "candidate_checked"
    text: str = Field(max_length=20_000)
