"""Run the Spec's acceptance tests in a trusted process, in a sandbox of their own.

The tests ask for a running candidate through fixtures; this program passes the wish to the service as a JSON line on
its standard output and reads the answer from its standard input. It never shares a process with the candidate.

    launch(env=None) -> App     a candidate of its own, stopped after the test; `env` comes on top of the harness's
    app -> App                  one candidate for all tests of a module
    load("module:name") -> ...  a function, class or value of the candidate's, in a process of its own per test
    run(*argv, ...) -> Finished one command line in a copy of the project, which all runs of a test share
    fresh -> Fresh              random inputs, chosen after the candidate was frozen

It needs the standard library and pytest; of ours, only what lies beside this file.
"""

# remote.py and channel.py lie beside this file there, which a type checker cannot know.
# pyright: reportMissingImports=false

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import string
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
import remote
from channel import CandidateFailed, Channel

_NO_DOCUMENT = object()
_MAX_TEXT = 6000


class NotStarted(AssertionError):
    """The application did not start, which a test may expect."""


class Headers(dict[str, str]):
    """Response headers by name in any case; repeated ones are joined by a comma and a space."""

    def __init__(self, pairs: Sequence[Sequence[str]]) -> None:
        super().__init__()
        for name, value in pairs:
            key = name.lower()
            self[key] = f"{self[key]}, {value}" if key in self else value

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class Response:
    """What the candidate answered."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.status: int = answer["status"]
        self.headers = Headers(answer["headers"])
        self.content: bytes = base64.b64decode(answer["body"])

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.text[:500]!r}>"


class App:
    """A running candidate. The parts of a request: `json`, `content` (bytes or text), `headers`, `params`."""

    def __init__(self, channel: Channel, env: Mapping[str, str]) -> None:
        self._channel = channel
        try:
            self._id = channel.ask({"op": "launch", "env": {name: str(value) for name, value in env.items()}})
        except CandidateFailed as failed:
            raise NotStarted(str(failed)) from None

    def request(self, method: str, path: str, **parts: Any) -> Response:
        return self.concurrently([(method, path, parts)])[0]

    def get(self, path: str, **parts: Any) -> Response:
        return self.request("GET", path, **parts)

    def post(self, path: str, **parts: Any) -> Response:
        return self.request("POST", path, **parts)

    def put(self, path: str, **parts: Any) -> Response:
        return self.request("PUT", path, **parts)

    def patch(self, path: str, **parts: Any) -> Response:
        return self.request("PATCH", path, **parts)

    def delete(self, path: str, **parts: Any) -> Response:
        return self.request("DELETE", path, **parts)

    def concurrently(self, calls: Sequence[tuple[Any, ...]]) -> list[Response]:
        """Send requests at once, each `(method, path)` or `(method, path, parts)`; the answers in the same order."""
        requests = [as_request(*call) for call in calls]
        answers = self._channel.ask({"op": "request", "app": self._id, "requests": requests})
        return [Response(answer) for answer in answers]

    def restart(self) -> None:
        """Stop the program and start it again with the same environment and files."""
        self._channel.ask({"op": "restart", "app": self._id})

    def stop(self) -> None:
        """Stop the program for good."""
        self._channel.ask({"op": "stop", "app": self._id})


def as_request(method: str, path: str, parts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request as it travels; the header fields that every HTTP client sets are set here."""
    given = dict(parts or {})
    document, content = given.pop("json", _NO_DOCUMENT), given.pop("content", b"")
    headers = {str(name).lower(): str(value) for name, value in (given.pop("headers", None) or {}).items()}
    address, _, query = path.partition("?")
    params = urlencode(given.pop("params", None) or {}, doseq=True)
    if given:
        raise TypeError(f"unknown part of a request: {', '.join(given)}")
    if document is not _NO_DOCUMENT:
        content = json.dumps(document)
        headers.setdefault("content-type", "application/json")
    body = content.encode() if isinstance(content, str) else bytes(content)
    headers.setdefault("host", "candidate")
    if body or method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(body))
    return {
        "method": method,
        "path": address,
        "query": "&".join(part for part in (query, params) if part),
        "headers": list(headers.items()),
        "body": base64.b64encode(body).decode(),
    }


class Fresh:
    """Inputs that nobody could have known when the candidate was written."""

    def word(self) -> str:
        """Ten lower-case letters."""
        return "".join(secrets.choice(string.ascii_lowercase) for _ in range(10))

    def email(self) -> str:
        """An address with letters of both cases."""
        return f"{self.word().capitalize()}.{self.word()}@{self.word()}.example"

    def password(self) -> str:
        """24 letters and digits, lower case, upper case and digits alike."""
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        characters = [secrets.choice(kinds[number % 3]) for number in range(24)]
        random.SystemRandom().shuffle(characters)
        return "".join(characters)


class Examiner:
    """The pytest plugin: the fixtures, and one record per test for the service."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._reports: list[pytest.TestReport] = []

    @pytest.fixture
    def launch(self) -> Iterator[Callable[..., App]]:
        started: list[App] = []

        def start(env: Mapping[str, str] | None = None) -> App:
            started.append(App(self._channel, env or {}))
            return started[-1]

        yield start
        for each in started:
            each.stop()

    @pytest.fixture(scope="module")
    def app(self) -> Iterator[App]:
        running = App(self._channel, {})
        yield running
        running.stop()

    @pytest.fixture
    def load(self) -> Iterator[remote.Loader]:
        loader = remote.Loader(self._channel)
        yield loader
        loader.stop()

    @pytest.fixture
    def run(self) -> Iterator[remote.Project]:
        project = remote.Project(self._channel)
        yield project
        project.stop()

    @pytest.fixture(scope="session")
    def fresh(self) -> Fresh:
        return Fresh()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)
        if report.when == "teardown":
            self._channel.tell({"op": "case", **_summarised(self._reports)})
            self._reports = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            case = {"id": report.nodeid, "outcome": "failed", "text": str(report.longrepr)[-_MAX_TEXT:], "seconds": 0.0}
            self._channel.tell({"op": "case", **case})


def _summarised(reports: list[pytest.TestReport]) -> dict[str, Any]:
    """The worst outcome of set-up, call and tear-down; an expected failure counts as skipped."""
    worst = max(reports, key=lambda report: ("passed", "skipped", "failed").index(report.outcome))
    outcome = "skipped" if hasattr(worst, "wasxfail") else worst.outcome
    seconds = sum(report.duration for report in reports)
    text = "" if outcome == "passed" else worst.longreprtext[-_MAX_TEXT:]
    return {"id": worst.nodeid, "outcome": outcome, "text": text, "seconds": round(seconds, 3)}


def main() -> None:
    config = json.loads(sys.argv[1])
    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what tests print must not run into the protocol
    options = ["-p", "no:cacheprovider", "--import-mode=importlib", "--tb=short", "-q"]
    places = ["-c", config["config_file"], f"--rootdir={config['tests']}", f"--confcutdir={config['tests']}"]
    code = pytest.main([*options, *places, config["tests"]], plugins=[Examiner(channel)])
    channel.tell({"op": "end", "code": int(code)})
