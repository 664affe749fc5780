"""A forge on a real socket, for tests: private repositories over smart HTTP, and GitLab's merge requests.

It checks what it is asked as strictly as the real one, and can stand still at any point of a delivery.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from worksite.builder.testing import run_git, web_server

Stage = Literal["before push", "after push", "before open", "after open"]
TOKEN = "glpat-for-tests-only"  # noqa: S105  opens nothing
_API = re.compile(r"/api/v4/projects/([^/]+)/merge_requests")
_OPENS = {"source_branch", "target_branch", "title", "description"}


@dataclass
class Hold:
    """Somebody stands still at a stage until they are let go."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass
class Forge:
    """What it holds, and what it was asked."""

    root: Path
    address: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    merge_requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    answers: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """What the API says to the next calls, whatever they ask."""
    holds: dict[Stage, Hold] = field(default_factory=dict[Stage, Hold])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def project(self, path: str = "team/app") -> Path:
        """An empty bare repository that may be pushed to."""
        folder = self.root / f"{path}.git"
        folder.mkdir(parents=True)
        run_git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
        return folder

    def url(self, path: str = "team/app") -> str:
        return f"{self.address}/{path}.git"

    def credentials(self, **changes: object) -> str:
        """The setting that opens everything here to everybody."""
        return json.dumps([{"url": f"{self.address}/", "tenants": "*", "token": TOKEN} | changes])

    def pause(self, stage: Stage) -> None:
        if hold := self.holds.get(stage):
            hold.reached.set()
            hold.released.wait(60)

    def project_id(self, path: str) -> int:
        """As GitLab numbers them."""
        return sum(path.encode())

    def asked(self, method: str, end: str) -> int:
        return sum(1 for m, path in self.requests if m == method and path.endswith(end))


@contextmanager
def running_forge(root: Path) -> Iterator[Forge]:
    """Lets everybody go at its end."""
    forge = Forge(root)
    with web_server(type("Handler", (_Handler,), {"forge": forge})) as address:
        forge.address = address
        try:
            yield forge
        finally:
            for hold in forge.holds.values():
                hold.released.set()


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        place = urlsplit(self.path)
        self.forge.requests.append((self.command, place.path))
        try:
            if api := _API.fullmatch(place.path):
                self._api(unquote(api[1]), place.query, body)
            else:
                self._git(place.path, place.query, body)
        except ConnectionError:  # the client was killed
            self.close_connection = True

    def _git(self, path: str, query: str, body: bytes) -> None:
        if self.headers["Authorization"] != f"Basic {b64encode(f'oauth2:{TOKEN}'.encode()).decode()}":
            self._send(401, b"no", "text/plain")
            return
        pushes = path.endswith("/git-receive-pack")
        if pushes:
            self.forge.pause("before push")
        head, _, content = _backend(self.forge.root, self.command, path, query, self.headers, body).partition(
            b"\r\n\r\n"
        )
        if pushes:
            self.forge.pause("after push")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._send(int(fields.get("Status", "200").split()[0]), content, fields["Content-Type"])

    def _api(self, project: str, query: str, body: bytes) -> None:
        forge = self.forge
        if forge.answers:
            status, text = forge.answers.pop(0)
            self._send(status, text.encode())
        elif self.headers["PRIVATE-TOKEN"] != TOKEN:
            self._send(401, b'{"message": "401 Unauthorized"}')
        elif not (forge.root / f"{project}.git").is_dir():
            self._send(404, b'{"message": "404 Project Not Found"}')
        elif self.command == "GET":
            self._send(200, json.dumps(self._found(project, parse_qs(query))).encode())
        else:
            forge.pause("before open")
            status, answer = self._opened(project, json.loads(body))
            forge.pause("after open")
            self._send(status, json.dumps(answer).encode())

    def _found(self, project: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        assert query.keys() == {"state", "source_branch", "per_page", "page"}
        assert query["state"] == ["all"]
        wanted = {"source_branch": query["source_branch"][0], "target_project_id": self.forge.project_id(project)}
        found = [one for one in self.forge.merge_requests if wanted.items() <= one.items()]
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return found[size * (page - 1) : size * page]

    def _opened(self, project: str, body: dict[str, str]) -> tuple[int, object]:
        if body.keys() != _OPENS or not body["title"]:
            return 400, {"error": "title is missing"}
        heads = {name: self._head(project, body[name]) for name in ("source_branch", "target_branch")}
        if None in heads.values():
            return 422, {"message": ["a branch does not exist"]}
        with self.forge.lock:
            ids = dict.fromkeys(("source_project_id", "target_project_id"), self.forge.project_id(project))
            place = {name: body[name] for name in heads} | ids
            if any(one["state"] == "opened" and place.items() <= one.items() for one in self.forge.merge_requests):
                return 409, {"message": ["Another open merge request already exists for this source branch: !1"]}
            number = len(self.forge.merge_requests) + 1
            web_url = f"{self.forge.address}/{project}/-/merge_requests/{number}"
            made = body | ids | {"iid": number, "state": "opened", "sha": heads["source_branch"], "web_url": web_url}
            self.forge.merge_requests.append(made)
        return 201, made

    def _head(self, project: str, branch: str) -> str | None:
        command = ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"]
        done = subprocess.run(command, cwd=self.forge.root / f"{project}.git", capture_output=True, text=True)
        return done.stdout.strip() or None

    def _send(self, status: int, content: bytes, media_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        pass


def _backend(root: Path, method: str, path: str, query: str, headers: Any, body: bytes) -> bytes:
    """git-http-backend(1), as a web server calls it."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": "/dev/null",
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "REMOTE_USER": "worksite",
    }
    return subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True).stdout
