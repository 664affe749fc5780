"""git, run so that nothing outside one repository has a say: no user or system configuration, no hooks, no prompts.

A repository may come from anyone. Its content can name hooks, filters, submodules and helpers, but only configuration
runs them, and here every piece of configuration is ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from worksite.builder import process
from worksite.builder.domain.redaction import presentable
from worksite.common.errors import StepRefused

LOCAL_TIMEOUT_SECONDS = 120.0
NO_PROTOCOLS = ""
_PASSED_ON = frozenset({"PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"})
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
# Harmless, and common in the history of old and respectable repositories:
_TOLERATED = ("badTimezone", "missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate", "zeroPaddedFilemode")
_CONFIG = (
    "core.attributesFile=/dev/null",
    "core.bigFileThreshold=16m",  # larger blobs are streamed, not held in memory
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "credential.helper=",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "http.followRedirects=false",  # an allowed host may not send us on to another one
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "maintenance.auto=false",
    "pack.threads=1",  # the same objects make the same pack, byte for byte
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
    *(f"fetch.fsck.{fault}=ignore" for fault in _TOLERATED),
)
STRICT = f"--strict={','.join(f'{fault}=ignore' for fault in _TOLERATED)}"
"""For `git index-pack`, which does not go by the configuration: the same checks as on arrival from a remote."""
_CONVERSIONS = "-text -eol -ident -filter -working-tree-encoding -export-ignore -export-subst"
ATTRIBUTES = f"* {_CONVERSIONS} !diff !merge !conflict-marker-size\n"
"""For `info/attributes`, which wins over every `.gitattributes` of a tree. Diffs and merges go by the content alone."""


class GitFailed(Exception):
    """git ended with an error; the text is what it said, shortened and without credentials."""


@dataclass(frozen=True)
class Git:
    """git on one repository, and on one work tree of it where given."""

    directory: Path
    work_tree: Path | None = None

    async def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes | BinaryIO = b"",
        output_file: Path | None = None,
        env: Mapping[str, str] | None = None,
        protocols: str = NO_PROTOCOLS,
        timeout_seconds: float = LOCAL_TIMEOUT_SECONDS,
        secrets: Sequence[str] = (),
    ) -> bytes:
        """Standard output of one git command; no error repeats `secrets`.

        Raises GitFailed, TimeoutError, StepRefused when it lists too much.
        """
        try:
            finished = await process.run(
                self._command(arguments),
                env=_environment(protocols) | dict(env or {}),
                cwd=self.work_tree or self.directory,
                stdin=stdin,
                output_file=output_file,
                timeout_seconds=timeout_seconds,
            )
        except process.OutputTooLarge as error:  # a few objects can make a tree of a billion files
            raise StepRefused("repository_too_large", f"git {arguments[0]} lists {error}") from error
        if finished.returncode != 0:
            said = presentable(finished.errors, secrets) or f"exit status {finished.returncode}"
            raise GitFailed(f"git {arguments[0]}: {said}")
        return finished.output

    def _command(self, arguments: tuple[str | Path, ...]) -> list[str | Path]:
        configured: list[str | Path] = ["git", f"--git-dir={self.directory}"]
        if self.work_tree:
            configured.append(f"--work-tree={self.work_tree}")
        for entry in _CONFIG:
            configured += ["-c", entry]
        return [*configured, *arguments]


def _environment(protocols: str) -> dict[str, str]:
    """An allow-list: no GIT_* of ours reaches git, no home directory, no credentials except a proxy's."""
    passed_on = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.lower() in _PROXIES}
    return passed_on | {
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/dev/null",  # not a directory: nothing can be found below it, .netrc included
        "LC_ALL": "C",
    }
