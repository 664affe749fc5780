"""Prints the software bill of materials of an image's wheels, as CycloneDX JSON: `sbom.py SERVICE FOLDER`."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


def bill_of(service: str, wheels: Iterable[Path]) -> Bom:
    """One component per wheel, with its digest. Packages of the distribution, those of the base image and git where a
    service uses it, are in the image's own dpkg database, which scanners read."""
    image = Component(name=f"worksite-{service}", type=ComponentType.CONTAINER)
    parts = [_component(wheel) for wheel in sorted(wheels)]
    bom = Bom(components=parts)
    bom.metadata.component = image
    bom.register_dependency(image, parts)
    return bom


def _component(wheel: Path) -> Component:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    expression = metadata["License-Expression"] or metadata["License"]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    url = PackageURL("pypi", name=metadata["Name"].lower(), version=metadata["Version"])
    return Component(
        name=metadata["Name"],
        version=metadata["Version"],
        bom_ref=str(url),
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseFactory().make_from_string(expression.splitlines()[0])] if expression else [],
    )


if __name__ == "__main__":
    print(JsonV1Dot6(bill_of(sys.argv[1], Path(sys.argv[2]).glob("*.whl"))).output_as_string(indent=2))
