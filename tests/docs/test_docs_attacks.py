"""Every attack in docs/security.md has the test that it names, and no kind that we must withstand is missing."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| (?!attack |---)", line)]
TO_WITHSTAND = (
    "`alg` none", "HS/RS confusion", "`jku`", "`x5u`", "`jwk`", "`crit`", "expired", "`nbf`", "`aud`", "`iss`", "`kid`",
    "revoked `jti`", "oversized token", "two `Authorization`", "token in the URL", "on every route", "backslashes",
    "NUL", "loopback", "metadata", "decimal", "rebinding", "redirects", "`file:`", "`ext:`", "`ssh:`", "submodules",
    "`--upload-pack`", "credentials in a URL", "compressed request body", "zip", "git bundle", "PDF", "DOCX",
    "slowloris", "bodies that trickle", "connections on which nothing is said", "`Transfer-Encoding`", "headers",
    "JSON nested",
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_an_attack_names_one_test_that_exists(row):
    ((path, name),) = re.findall(r"`([\w/.]+\.py)::(test_\w+)`", row)
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.M)


@pytest.mark.parametrize("kind", TO_WITHSTAND)
def test_a_kind_of_attack_that_has_to_be_withstood_is_in_the_index(kind):
    assert [row for row in ROWS if kind in row.split("|")[1]]
