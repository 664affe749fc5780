"""A gateway that says what a test tells it to, on a real socket, and git repositories to work on."""

import copy
import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner
from worksite.cli.main import app
from worksite.common.messages import document_id

PAGE = 3
"""Of a list, whatever the client asks for: every list of more has several pages."""


def task_id(number):
    """Ids sort by age, and those of one minute begin alike."""
    return f"01a2044c{number:04x}70000000000000000000"


def in_form(body):
    """The document of a form with one file."""
    (path,) = re.findall(rb'name="files"; filename="(.+?)"', body)
    tags = re.findall(rb'name="tags"\r\n\r\n(.+?)\r\n', body)
    return {"path": path.decode(), "tags": [tag.decode() for tag in tags]}


class FakeGateway:
    """Holds tasks and documents; keeps every request as (method, path, query, headers, body)."""

    def __init__(self):
        self.tasks, self.events, self.artifacts, self.documents = {}, {}, {}, {}
        self.letters, self.requests, self.refusals = {}, [], []
        self.breaks_off = []  # (method, end of the path): the answer to one such call ends in its middle
        self.after_submit = {"status": "completed", "verdict": "PASS", "artifacts": ["cost.json"]}
        self.after_input = self.after_submit
        self.looks_until_indexed, self.unreadable, self.not_taken = 1, {}, set()

    def add_task(self, status="completed", verdict="PASS", **more):
        number = len(self.tasks) + 1
        view = {
            "id": task_id(number), "status": status, "verdict": verdict, "route": "feature",
            "request": f"wish {number}", "reason": None, "question": None, "approval": None, "answer": None,
            "artifacts": [],
            "created_at": "2026-11-22T12:00:00Z",
        } | more  # fmt: skip
        self.tasks[view["id"]] = view
        self.events[view["id"]] = []
        self.happen(view["id"])
        return view["id"]

    def happen(self, task, **changes):
        """A state event, and the view that follows it."""
        self.tasks[task] |= changes
        body = {"status": self.tasks[task]["status"], "step": None, "round": 1, "history": []}
        event = {
            "sequence": len(self.events[task]) + 1,
            "producer": "admin",
            "step": "task",
            "kind": "state",
            "body": body,
        }
        self.events[task].append(event)

    def sent(self, method, path):
        """The bodies of the requests of this kind, parsed where they are JSON."""
        return [
            json.loads(body) if "json" in headers.get("Content-Type", "") else body
            for m, p, _, headers, body in self.requests
            if (m, p) == (method, path)
        ]

    def answer(self, method, path, query, headers, body):
        """(status, headers, bytes)."""
        self.requests.append((method, path, query, headers, body))
        for refusal in self.refusals:
            if refusal[0] in path:
                self.refusals.remove(refusal)
                return refusal[1], refusal[2], json.dumps(refusal[3]).encode()
        for pattern, handle in self._routes():
            if matched := re.fullmatch(pattern, f"{method} {path}"):
                return handle(*matched.groups(), query=query, headers=headers, body=body)
        return 404, {}, b'{"title": "Not found"}'

    def _routes(self):
        return (
            (r"POST /oauth/token", lambda **_: as_json(200, {"access_token": "t", "token_type": "Bearer"})),
            (r"POST /v1/uploads", self._upload),
            (r"POST /v1/tasks", self._submit),
            (r"GET /v1/tasks", self._list_tasks),
            (r"GET /v1/tasks/(\w+)", lambda task, **_: as_json(200, self.tasks[task]) if task in self.tasks else GONE),
            (r"GET /v1/tasks/(\w+)/events", self._events),
            (
                r"GET /v1/tasks/(\w+)/artifacts/([\w.]+)",
                lambda _, name, **__: (200, {}, self.artifacts.get(name, b"{}")),
            ),
            (r"POST /v1/tasks/(\w+)/input", self._input),
            (r"POST /v1/tasks/(\w+)/approval", self._approve),
            (r"POST /v1/tasks/(\w+)/cancel", lambda task, **_: as_json(202, self.tasks[task])),
            (r"POST /v1/knowledge/documents", self._add_documents),
            (r"GET /v1/knowledge/documents", self._list_documents),
            (r"DELETE /v1/knowledge/documents/(\w+)", self._remove_document),
            (r"GET /v1/dead-letters", self._list_letters),
            (r"GET /v1/dead-letters/(\d+)", self._show_letter),
            (r"POST /v1/dead-letters/(\d+)/redrive", self._redrive),
            (r"DELETE /v1/dead-letters/(\d+)", self._purge),
        )

    def _upload(self, **_):
        return as_json(201, {"id": "u1", "size": 1, "format": "bundle", "expires_at": "2026-11-23T12:00:00Z"})

    def _submit(self, *, body, **_):
        task = self.add_task("running", None, request=json.loads(body)["request"])
        self.happen(task, **self.after_submit)
        return as_json(202, self.tasks[task])

    def _list_tasks(self, *, query, **_):
        found = [self.tasks[key] for key in sorted(self.tasks, reverse=True)]
        wanted = {name: query[name][0] for name in ("status", "route") if name in query}
        return page("tasks", [one for one in found if all(one[k] == v for k, v in wanted.items())], query)

    def _events(self, task, *, query, headers, **_):
        after = int(headers.get("Last-Event-ID", 0))
        events = [event for event in self.events[task] if event["sequence"] > after]
        text = "".join(f"id: {event['sequence']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return 200, {"Content-Type": "text/event-stream"}, text.encode()

    def _input(self, task, **_):
        if self.tasks[task]["status"] != "needs_input":
            return as_json(409, {"title": "Nothing asked", "detail": f"the task is {self.tasks[task]['status']}"})
        self.happen(task, status="running", question=None)
        self.happen(task, **self.after_input)
        return as_json(202, self.tasks[task])

    def _approve(self, task, *, body, **_):
        approved = json.loads(body)["approved"]
        self.happen(task, status="running", approval=None)
        self.happen(task, **({"status": "completed", "verdict": "PASS"} if approved else {"status": "cancelled"}))
        return as_json(202, self.tasks[task])

    def _add_documents(self, *, body, **_):
        added = []
        for document in json.loads(body)["documents"] if body.startswith(b"{") else [in_form(body)]:
            if document["path"] in self.not_taken:
                return as_json(422, {"title": "Nothing fits", "detail": "no file fits"})
            entry = {"id": document_id(document["path"]), "path": document["path"], "state": "queued", "error": None}
            entry["chunks"] = 2
            entry["tags"] = document.get("tags", [])
            self.documents[entry["id"]] = entry
            added.append(dict(entry))
        return as_json(202, {"documents": added})

    def _list_documents(self, *, query, **_):
        state = query.get("state", [None])[0]
        found = [one for one in self.documents.values() if state in (None, one["state"])]
        answer = page("documents", found, query)
        if state == "queued" and b'"next": null' in answer[2]:
            self.looks_until_indexed -= 1
        if self.looks_until_indexed <= 0:
            for one in self.documents.values():
                error = self.unreadable.get(one["path"])
                one |= {"state": "failed" if error else "indexed", "error": error} if one["state"] == "queued" else {}
        return answer

    def _remove_document(self, document, **_):
        return as_json(202, {}) if self.documents.pop(document, None) else GONE

    def add_letter(self, service="builder", refusal=None, **more):
        sequence = len(self.letters) + 1
        self.letters[sequence] = {
            "sequence": sequence, "state": "open", "service": service, "reason": f"reason {sequence}",
            "subject": f"ws.v1.work.{service}.local", "type": "worksite.v1.build_change", "task": task_id(1),
            "deliveries": 3, "redrive_count": 0, "died_at": "2026-11-22T12:00:00Z", "closed_by": None,
            "closed_at": None, "headers": {"ce-id": "e1"}, "body_encoding": "text", "body": "{}",
            "links": {"self": f"/v1/dead-letters/{sequence}"}, "refusal": refusal,
        } | more  # fmt: skip
        return sequence

    def _list_letters(self, *, query, **_):
        service = query.get("service", [None])[0]
        found = [one for one in self.letters.values() if one["state"] == "open" and service in (None, one["service"])]
        hidden = {"headers", "body", "body_encoding", "refusal"}
        return page("letters", [{k: v for k, v in one.items() if k not in hidden} for one in found], query)

    def _show_letter(self, sequence, **_):
        letter = self.letters.get(int(sequence))
        return as_json(200, {k: v for k, v in letter.items() if k != "refusal"}) if letter else GONE

    def _redrive(self, sequence, **_):
        letter = self.letters.get(int(sequence))
        if letter and letter["refusal"]:
            return as_json(409, {"title": "Letter was not redriven", "detail": letter["refusal"]})
        if letter is None:
            return GONE
        letter["state"] = "redriven"
        return as_json(202, letter)

    def _purge(self, sequence, **_):
        return (204, {}, b"") if self.letters.pop(int(sequence), None) else GONE


GONE = (404, {}, b'{"title": "Not found", "detail": "there is nothing of that name"}')


def as_json(status, document):
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


def page(member, found, query):
    start = int(query.get("cursor", ["0"])[0])
    end = start + min(PAGE, int(query["limit"][0]))
    return as_json(200, {member: found[start:end], "next": str(end) if end < len(found) else None})


class Handler(BaseHTTPRequestHandler):
    def _handle(self):
        place = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query, headers = parse_qs(place.query), dict(self.headers.items())
        fake = self.server.fake
        status, more, answer = fake.answer(self.command, place.path, query, headers, body)
        length = len(answer)
        for broken in [one for one in fake.breaks_off if one[0] == self.command and place.path.endswith(one[1])]:
            fake.breaks_off.remove(broken)
            answer, self.close_connection = answer[: length // 2], True
        self.send_response(status)
        for name, value in (more | {"Content-Length": str(length)}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = _handle

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway(monkeypatch):
    """The fake, which every command of the test talks to."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.fake = FakeGateway()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("WORKSITE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WORKSITE_TOKEN", "t")
        yield server.fake
        server.shutdown()
        thread.join()


@pytest.fixture
def worksite(tmp_path, monkeypatch):
    """Run a command of the command line in an empty directory, where its state belongs; returns its result."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("WORKSITE_ROOT", str(here))

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


class Repository:
    """A git repository of a test."""

    def __init__(self, path: Path, *options):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self("init", "-q", "-b", "main", *options)

    def __call__(self, *arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", *identity, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def at(self, path):
        """The same at another place, a worktree for one."""
        found = copy.copy(self)
        found.path = path
        return found

    def commit(self, message="work", **files):
        """Files by name, `_` for the dot of the suffix; returns the commit."""
        for name, text in files.items():
            self.write(name.replace("_py", ".py").replace("_md", ".md"), text)
        self("add", "--all", "--force")
        self("commit", "-q", "--allow-empty", "-m", message)
        return self("rev-parse", "HEAD")

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def bundle(self, file, *refs):
        self("bundle", "create", "-q", file, *refs)
        return Path(file).read_bytes()


@pytest.fixture
def repository(tmp_path):
    """A new repository below the test's folder, by name."""
    return lambda name="mine", *options: Repository(tmp_path / name, *options)
