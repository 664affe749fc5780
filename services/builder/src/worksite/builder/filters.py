"""Refusing trees whose files git would pass through filters.

Such a file is not what the repository holds: of Git LFS only a pointer would be built on and judged.
"""

from __future__ import annotations

from worksite.builder.domain.archives import shown
from worksite.builder.domain.attributes import line_with_filter
from worksite.builder.repository import Repository
from worksite.common.errors import StepRefused

_NAME = ".gitattributes"
_MAX_BYTES = 1 << 20
"""Of all of them: reading millions of lines would hold up every other step of this builder."""


async def refuse_filters(repository: Repository, commit: str) -> None:
    """Look into every .gitattributes of the tree at `commit`. Raises StepRefused, naming the first line at fault."""
    entries = await repository.entries(commit)
    found = [entry for entry in entries if entry.is_file and entry.path.rpartition("/")[2] == _NAME]
    if sum(entry.size for entry in found) > _MAX_BYTES:
        detail = f"the project's {_NAME} files hold more than {_MAX_BYTES} bytes: shorten them"
        raise StepRefused("repository_too_large", detail)
    for entry, content in zip(found, await repository.contents(found), strict=True):
        if line := line_with_filter(content.decode(errors="replace")):
            raise StepRefused(
                "git_filters",
                f"the project uses git filters ({shown(entry.path)}, line {line}), such as Git LFS, whose content "
                "Worksite neither fetches nor runs: replace the filtered files and remove that line",
            )
