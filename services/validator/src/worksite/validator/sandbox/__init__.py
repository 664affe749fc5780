"""Run untrusted programs: bounded, without network or credentials, and leaving nothing behind."""

from worksite.validator.sandbox.errors import (
    LauncherError,
    LineTooLong,
    SandboxError,
    SandboxUnavailable,
    SessionClosed,
)
from worksite.validator.sandbox.job import Job, Limits, Outcome, Stopped
from worksite.validator.sandbox.sandbox import Isolation, Sandbox
from worksite.validator.sandbox.session import Session
from worksite.validator.sandbox.settings import SandboxSettings
from worksite.validator.sandbox.start import open_sandbox

__all__ = [
    "Isolation",
    "Job",
    "LauncherError",
    "Limits",
    "LineTooLong",
    "Outcome",
    "Sandbox",
    "SandboxError",
    "SandboxSettings",
    "SandboxUnavailable",
    "Session",
    "SessionClosed",
    "Stopped",
    "open_sandbox",
]
