"""No secret of a running stack comes to light in what a whole task leaves behind."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from worksite.builder.testing_forge import TOKEN

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]
PUBLIC = "a-marker-that-is-no-secret-4711"


def secrets_of(delivering) -> Mapping[str, bytes]:
    """Every value that would let somebody in, by the name of its setting."""
    found = {name: value for name, value in delivering.secrets.items() if name != "GIT_CREDENTIALS"}
    found["GIT_CREDENTIALS"] = TOKEN
    for file in (delivering.stack.state / "secrets").glob("*/*"):
        name, text = f"{file.parent.name}/{file.name}", file.read_text()
        if file.name == "issuer_key":
            found[name] = json.loads(text)["d"]
        elif file.name != "issuer_clients":  # hashes
            found[name] = text
    return {name: value.strip().encode() for name, value in found.items()}


def left_behind(delivering) -> Iterator[tuple[str, bytes]]:
    """Streams and artifacts (NATS's store), the index, logs, workplaces, what was delivered; metrics and traces."""
    state: Path = delivering.stack.state
    kept = {state / "secrets", state / "wheelhouse"}
    for root in (state, delivering.stack.out, delivering.remote):
        for file in root.rglob("*"):
            own = file == state / "nats" / "nats.conf" or kept & set(file.parents)  # private, and where they belong
            if file.is_file() and not file.is_symlink() and not own:
                yield str(file.relative_to(root)), file.read_bytes()
    yield "up.log", (state.parent / "up.log").read_bytes()
    yield from ((f"trace {number}", body) for number, body in enumerate(delivering.traces))
    ports = re.findall(r"(?:operations endpoint|listening) on port (\d+)", (state / "worksite.log").read_text())
    for port in ports:
        yield f"metrics of {port}", httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).content


def test_no_secret_is_in_streams_artifacts_logs_metrics_or_traces_of_a_task(delivering):
    ran = delivering.stack.run(f"A function that greets people, {PUBLIC}", "--route", "feature")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    canaries = secrets_of(delivering)
    assert {"ANTHROPIC_API_KEY", "GIT_CREDENTIALS", "JWT_SECRET_KEY", "gateway/issuer_key"} <= canaries.keys()
    assert sum(name.endswith("nats_password") for name in canaries) >= 7

    places = dict(left_behind(delivering))
    leaks = {(name, place) for place, data in places.items() for name, value in canaries.items() if value in data}

    assert leaks == set()
    seen = {place for place, data in places.items() if PUBLIC.encode() in data}
    assert any(place.endswith(".blk") for place in seen), "the streams were not read"
    assert any(b"worksite_messages_published_total" in data for data in places.values()), "no metrics were read"
    assert any(place.startswith("trace ") and b"worksite-" in data for place, data in places.items()), "no traces"
