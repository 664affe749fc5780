"""What is wrong with the work packages of a draft: several builders are to work by them at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import PurePosixPath

from worksite.architect.domain.drafts import Draft
from worksite.common.messages import WorkPackage

MIN_PACKAGES, MAX_PACKAGES = 2, 8


def package_faults(draft: Draft, may_split: bool) -> Iterator[str]:
    """One sentence each; none of a draft whose work is one piece."""
    packages = draft.packages
    if not packages:
        return
    if not may_split:
        yield "this work is one piece for one builder: packages must be empty"
        return
    if not MIN_PACKAGES <= len(packages) <= MAX_PACKAGES:
        yield f"work is split into {MIN_PACKAGES} to {MAX_PACKAGES} packages, not into {len(packages)}, or not at all"
    counts = Counter(package.id for package in packages)
    yield from (f"the package {name} stands there {count} times" for name, count in counts.items() if count > 1)
    yield from _order_faults(packages)
    yield from _criteria_faults(draft)
    yield from _file_faults(packages)


def _order_faults(packages: Sequence[WorkPackage]) -> Iterator[str]:
    earlier = set[str]()
    for package in packages:
        for name in package.after:
            if name not in earlier:
                yield f"package {package.id} comes after {name}, which is not an earlier package of the list"
        earlier.add(package.id)


def _criteria_faults(draft: Draft) -> Iterator[str]:
    """What a check of the validator's shows is of the whole, so it may belong to any package and to none."""
    known = {criterion.id for criterion in draft.criteria}
    owners = {name: [package.id for package in draft.packages if name in package.criteria] for name in known}
    for criterion in draft.criteria:
        owned = owners[criterion.id]
        if criterion.test and len(owned) != 1:
            said = f"belongs to {', '.join(owned)}" if owned else "belongs to no package"
            yield f"criterion {criterion.id} {said}: each belongs to exactly one"
    for package in draft.packages:
        if unknown := sorted(set(package.criteria) - known):
            yield f"package {package.id} names criteria that are not there: {', '.join(unknown)}"


def _file_faults(packages: Sequence[WorkPackage]) -> Iterator[str]:
    yield from (f"package {package.id} names no file that is its own" for package in packages if not package.files)
    before = _predecessors(packages)
    for one, other in combinations(packages, 2):
        if one.id in before[other.id] or other.id in before[one.id]:
            continue
        if shared := sorted(_shared(one.files, other.files)):
            yield (
                f"packages {one.id} and {other.id} are built at the same time and both change {', '.join(shared)}: "
                "give it to one of them, or let one come after the other"
            )


def _predecessors(packages: Sequence[WorkPackage]) -> Mapping[str, set[str]]:
    """Of each package all that is merged before it begins, by the whole chain."""
    before = dict[str, set[str]]()
    for package in packages:
        before[package.id] = set(package.after).union(*(before.get(name, set()) for name in package.after))
    return before


def _shared(one: Sequence[str], other: Sequence[str]) -> set[str]:
    """The paths of either that are, or lie in, a path of the other."""
    mine, yours = ([PurePosixPath(path) for path in paths] for paths in (one, other))
    inner = [a if a.is_relative_to(b) else b for a in mine for b in yours if a.is_relative_to(b) or b.is_relative_to(a)]
    return set(map(str, inner))
