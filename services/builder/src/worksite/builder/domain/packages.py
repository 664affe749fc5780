"""Work packages, as a builder is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worksite.common.errors import StepRefused
from worksite.common.messages import PackageWork, Spec, WorkPackage


def package_named(spec: Spec, name: str) -> WorkPackage:
    """Raises StepRefused for one that the Spec does not have."""
    found = next((package for package in spec.packages if package.id == name), None)
    if found is None:
        known = ", ".join(package.id for package in spec.packages) or "none"
        raise StepRefused("unknown_package", f"the Spec has no work package {name!r}: it has {known}")
    return found


def in_order(spec: Spec, parts: Sequence[PackageWork]) -> list[tuple[WorkPackage, PackageWork]]:
    """As the Spec names them, in whichever order they arrived. Raises StepRefused as `package_named` does."""
    found = [(package_named(spec, part.package), part) for part in parts]
    return sorted(found, key=lambda pair: spec.packages.index(pair[0]))


def package_lines(spec: Spec, package: WorkPackage) -> Iterator[str]:
    """What is this builder's to do, and what is not."""
    yield f"{package.id}, {package.title}: {package.summary}"
    yield f"- yours are the criteria: {', '.join(package.criteria)}"
    yield f"- yours are the files: {', '.join(package.files) or 'none is named'}"
    yield from (f"- it builds on {name}, which is there already" for name in package.after)
    for other in spec.packages:
        if other.id not in {package.id, *package.after}:
            yield f"- not yours, somebody else's: {other.id}, {other.title} ({', '.join(other.files)})"
