"""Run the Spec's acceptance tests in a trusted process, in a sandbox of their own.

The tests ask for a running candidate through fixtures; this program passes the wish to the service as a JSON line on
its standard output and reads the answer from its standard input. It never shares a process with the candidate.

    launch(env=None) -> App     a candidate of its own, stopped after the test; `env` comes on top of the harness's
    app -> App                  one candidate for all tests of a module
    fresh                       random inputs, chosen after the candidate was frozen
"""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import string
import sys
import threading
from urllib.parse import urlencode

_NOTHING = object()


class CandidateFailed(AssertionError):
    """The candidate did not start, did not answer in time, or died."""


class Channel:
    """JSON lines to the service; a question waits for its answer."""

    def __init__(self, source, sink):
        self._source, self._sink = source, sink
        self._lock = threading.Lock()

    def tell(self, message):
        with self._lock:
            self._write(message)

    def ask(self, message):
        with self._lock:
            self._write(message)
            line = self._source.readline()
        if not line:
            raise SystemExit("the service has gone away")
        answer = json.loads(line)
        if "failed" in answer:
            raise CandidateFailed(answer["failed"])
        return answer["value"]

    def _write(self, message):
        self._sink.write(json.dumps(message).encode() + b"\n")
        self._sink.flush()


class Headers(dict):
    """Response headers by lower-case name; repeated ones are joined by a comma and a space."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            key = name.lower()
            self[key] = f"{self[key]}, {value}" if key in self else value

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Response:
    """What the candidate answered."""

    def __init__(self, answer):
        self.status = answer["status"]
        self.headers = Headers(answer["headers"])
        self.content = base64.b64decode(answer["body"])

    @property
    def text(self):
        return self.content.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.content)

    def __repr__(self):
        return f"<Response {self.status} {self.text[:500]!r}>"


class App:
    """A running candidate."""

    def __init__(self, channel, env):
        self._channel = channel
        self._id = channel.ask({"op": "launch", "env": {str(name): str(value) for name, value in (env or {}).items()}})

    def request(self, method, path, **parts):
        """`json`, `content` (bytes or text), `headers`, `params`."""
        return self.concurrently([(method, path, parts)])[0]

    def get(self, path, **parts):
        return self.request("GET", path, **parts)

    def post(self, path, **parts):
        return self.request("POST", path, **parts)

    def put(self, path, **parts):
        return self.request("PUT", path, **parts)

    def patch(self, path, **parts):
        return self.request("PATCH", path, **parts)

    def delete(self, path, **parts):
        return self.request("DELETE", path, **parts)

    def concurrently(self, calls):
        """Send several requests at once, each `(method, path)` or `(method, path, parts)`; answers in the same order."""
        requests = [as_request(*call) for call in calls]
        answers = self._channel.ask({"op": "request", "app": self._id, "requests": requests})
        return [Response(answer) for answer in answers]

    def restart(self):
        """Stop the program and start it again with the same environment and files."""
        self._channel.ask({"op": "restart", "app": self._id})

    def stop(self):
        self._channel.ask({"op": "stop", "app": self._id})


def as_request(method, path, parts=None):
    parts = dict(parts or {})
    document, content = parts.pop("json", _NOTHING), parts.pop("content", b"")
    headers = {name.lower(): str(value) for name, value in dict(parts.pop("headers", None) or {}).items()}
    address, _, query = path.partition("?")
    added = urlencode(parts.pop("params", None) or {}, doseq=True)
    if parts:
        raise TypeError(f"unknown part of a request: {', '.join(parts)}")
    if document is not _NOTHING:
        content = json.dumps(document).encode()
        headers.setdefault("content-type", "application/json")
    body = content.encode() if isinstance(content, str) else content
    headers.setdefault("host", "candidate")
    if body or method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(body))
    return {
        "method": method,
        "path": address,
        "query": "&".join(part for part in (query, added) if part),
        "headers": list(headers.items()),
        "body": base64.b64encode(body).decode(),
    }


class Fresh:
    """Inputs that nobody could have known when the candidate was written."""

    def word(self):
        """A lower-case word of ten letters."""
        return "".join(secrets.choice(string.ascii_lowercase) for _ in range(10))

    def email(self):
        """An address with letters of both cases."""
        return f"{self.word().capitalize()}.{self.word()}@{self.word()}.example"

    def password(self):
        """24 letters and digits of both cases, at least one of each kind."""
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        letters = [secrets.choice(kinds[number % 3]) for number in range(24)]
        random.SystemRandom().shuffle(letters)
        return "".join(letters)


def plugin(pytest, channel):
    """The fixtures, and one record per test for the service."""

    class Examiner:
        def __init__(self):
            self._reports = {}

        @pytest.fixture
        def launch(self):
            started = []

            def start(env=None):
                started.append(App(channel, env))
                return started[-1]

            yield start
            for each in started:
                each.stop()

        @pytest.fixture(scope="module")
        def app(self):
            running = App(channel, None)
            yield running
            running.stop()

        @pytest.fixture(scope="session")
        def fresh(self):
            return Fresh()

        def pytest_runtest_logreport(self, report):
            reports = self._reports.setdefault(report.nodeid, [])
            reports.append(report)
            if report.when == "teardown":
                channel.tell({"op": "case", **summarised(self._reports.pop(report.nodeid))})

        def pytest_collectreport(self, report):
            if report.failed:
                text = str(report.longrepr)
                channel.tell({"op": "case", "id": report.nodeid, "outcome": "failed", "text": text, "seconds": 0.0})

    return Examiner()


def summarised(reports):
    """The worst outcome of set-up, call and tear-down; an expected failure counts as skipped."""
    worst = max(reports, key=lambda report: ("passed", "skipped", "failed").index(report.outcome))
    outcome = "skipped" if hasattr(worst, "wasxfail") else worst.outcome
    seconds = sum(report.duration for report in reports)
    text = "" if outcome == "passed" else worst.longreprtext
    return {"id": worst.nodeid, "outcome": outcome, "text": text[-6000:], "seconds": round(seconds, 3)}


def main():
    config = json.loads(sys.argv[1])
    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    sys.path.append(config["pytest"])
    import pytest

    options = ["-p", "no:cacheprovider", "--import-mode=importlib", "--tb=short", "--capture=fd", "-q"]
    config_file = ["-c", config["config_file"], f"--rootdir={config['tests']}"]
    code = pytest.main([*options, *config_file, config["tests"]], plugins=[plugin(pytest, channel)])
    channel.tell({"op": "end", "code": int(code)})


if __name__ == "__main__":
    main()
