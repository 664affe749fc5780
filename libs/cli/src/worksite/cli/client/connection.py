"""HTTP to the gateway: in whose name, call by call or page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any

import httpx
from worksite.cli.client.access import DEFAULT_ROLE, Access
from worksite.cli.client.refusals import GatewayError, NotTaken, NotThere, Say, TooMany, patiently, problem
from worksite.cli.client.repeating import repeated, transport

_KINDS: Mapping[int, type[GatewayError]] = {400: NotTaken, 404: NotThere, 413: NotTaken, 422: NotTaken}


class Connection:
    """One client session; `say` is told why a call takes longer."""

    def __init__(self, access: Access, tenant: str, say: Say, role: str = DEFAULT_ROLE) -> None:
        self.access = access
        self.http = httpx.AsyncClient(
            base_url=access.url, timeout=30, trust_env=False, auth=_Bearer(access, tenant, role), transport=transport()
        )
        self._say = say

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One call; where the gateway asks for a pause, it is made. Raises GatewayError."""
        answer = await patiently(lambda: self._sent(method, path, options), self._say)
        if answer.is_error:
            raise _KINDS.get(answer.status_code, GatewayError)(self._reason(answer))
        return answer

    async def listed(
        self, path: str, member: str, page: int, filters: Mapping[str, str | None]
    ) -> AsyncGenerator[dict[str, Any]]:
        """Every item of a list that comes in pages of `page`."""
        query: dict[str, str | int] = {"limit": page} | {name: value for name, value in filters.items() if value}
        while True:
            answer = (await self.call("GET", path, params=query)).json()
            for item in answer[member]:
                yield item
            if not (cursor := answer.get("next")):
                return
            query["cursor"] = cursor

    def _reason(self, answer: httpx.Response) -> str:
        """The gateway knows that the bus does not answer; we may know why."""
        unavailable = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        if unavailable and (directory := self.access.full_disk()):
            return (
                f"{problem(answer)}. The disk of {directory} is full: free some space, and the stack goes on by itself"
            )
        return problem(answer)

    async def _sent(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        async def ask() -> httpx.Response:
            return await self.http.request(method, path, **options)

        try:
            answer = await (repeated(ask) if _may_be_repeated(method, options) else ask())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GatewayError(f"{self.access.url} does not answer: {error or type(error).__name__}") from error
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise TooMany(answer)
        return answer


def _may_be_repeated(method: str, options: Mapping[str, Any]) -> bool:
    return method == "GET" or "Idempotency-Key" in options.get("headers", {})


class _Bearer(httpx.Auth):
    """Fetches a token when there is none, and once more when it has expired."""

    def __init__(self, access: Access, tenant: str, role: str) -> None:
        self._access, self._tenant, self._role = access, tenant, role
        self._token: str | None = None

    async def async_auth_flow(self, request: httpx.Request):
        self._token = self._token or await self._access.token(self._tenant, self._role)
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = await self._access.token(self._tenant, self._role)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request
