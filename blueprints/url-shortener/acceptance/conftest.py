"""What the tests share: visitors, and the owner of the token."""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

# As `blueprint.toml` has it, for the candidate that a file of tests shares.
SHARED_TOKEN = "for-acceptance-tests-only-and-nothing-else"


class Shortener:
    """A running candidate, as its visitors and the owner of its token see it."""

    def __init__(self, app: Any, token: str) -> None:
        self.app = app
        self.bearer = {"authorization": f"Bearer {token}"}

    def url(self) -> str:
        """A destination that nobody had before."""
        return f"https://{secrets.token_hex(6)}.example/{secrets.token_hex(6)}?q={secrets.token_hex(3)}#top"

    def word(self) -> str:
        """An alias that nobody had before."""
        return f"word-{secrets.token_hex(6)}"

    def soon(self, seconds: float = 3600) -> str:
        """The time in so many seconds, as a request writes it."""
        return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()

    def manage(self, method: str, path: str, **parts: Any) -> Any:
        return self.app.request(method, path, headers=self.bearer, **parts)

    def call(self, **link: Any) -> tuple[str, str, dict[str, Any]]:
        """The creation of a link as a call for `app.concurrently`."""
        return "POST", "/links", {"json": {"url": self.url(), **link}, "headers": self.bearer}

    def post(self, **link: Any) -> Any:
        """Try to create a link; it gets a destination of its own if none is given."""
        method, path, parts = self.call(**link)
        return self.app.request(method, path, **parts)

    def create(self, **link: Any) -> dict[str, Any]:
        response = self.post(**link)
        assert response.status == 201, response
        return response.json()

    def change(self, code: str, **changes: Any) -> dict[str, Any]:
        response = self.manage("PATCH", f"/links/{code}", json=changes)
        assert response.status == 200, response
        return response.json()

    def delete(self, code: str) -> None:
        assert self.manage("DELETE", f"/links/{code}").status == 204

    def show(self, code: str) -> dict[str, Any]:
        response = self.manage("GET", f"/links/{code}")
        assert response.status == 200, response
        return response.json()

    def statistics(self, code: str, **query: Any) -> dict[str, Any]:
        response = self.manage("GET", f"/links/{code}/statistics", params=query)
        assert response.status == 200, response
        return response.json()

    def visit(self, code: str, **parts: Any) -> Any:
        return self.app.get(f"/{code}", **parts)

    def leads_to(self, code: str) -> str | None:
        """Where a visitor gets; None where the link leads nowhere."""
        response = self.visit(code)
        return response.headers["location"] if response.status == 307 else None

    def pages(self, **query: Any) -> Iterator[list[str]]:
        """The codes on each page of a list."""
        for _ in range(100):
            response = self.manage("GET", "/links", params=query)
            assert response.status == 200, response
            yield [link["code"] for link in response.json()["links"]]
            if response.json()["next"] is None:
                return
            query = query | {"before": response.json()["next"]}
        raise AssertionError("the pages do not end")

    def listed(self, **query: Any) -> list[str]:
        """The codes of a list, from all pages."""
        return [code for page in self.pages(**query) for code in page]


@pytest.fixture(scope="module")
def shortener(app: Any) -> Shortener:
    """The candidate that the tests of a file share."""
    return Shortener(app, SHARED_TOKEN)


@pytest.fixture
def start(launch: Any) -> Callable[..., Shortener]:
    """Starts a candidate of its own, with its own token; settings are given by their names without prefix."""

    def started(**settings: Any) -> Shortener:
        token = secrets.token_hex(32)
        env = {"API_TOKEN": token} | {name.upper(): str(value) for name, value in settings.items()}
        return Shortener(launch(env={f"SHORTENER_{name}": value for name, value in env.items()}), token)

    return started
