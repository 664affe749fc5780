"""What can go wrong around a sandboxed run. None of these says anything about the candidate's quality."""


class SandboxError(Exception):
    """Base of every error of this package."""


class SandboxUnavailable(SandboxError):
    """This machine cannot confine a program; the text names the missing layer and what to do about it."""


class LauncherError(SandboxError):
    """The candidate was never started, or could not be supervised: an ENVIRONMENT matter, never a verdict.

    `step` names what failed: `workspace`, `spawn`, `namespaces`, `launcher`, `limits`, `landlock`, `seccomp`, `exec`,
    `keeper`, or `disk`, which others filled meanwhile.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"the sandbox could not run the program ({step}): {reason}")
        self.step = step
        self.reason = reason

    @property
    def passes(self) -> bool:
        """May it go better at once?"""
        return self.step == "disk"


class SessionClosed(SandboxError):
    """The program closed its pipe or ended; `Session.wait` says how."""


class LineTooLong(SandboxError):
    """The program sent a line longer than the reader allows."""
