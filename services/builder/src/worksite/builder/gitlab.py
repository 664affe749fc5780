"""Merge requests through the REST interface of GitLab, version 4 (https://docs.gitlab.com/api/merge_requests/)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError
from worksite.builder.domain.addresses import refuse_private
from worksite.builder.domain.credentials import Credential
from worksite.builder.domain.merge_requests import MergeRequest, Shown, ours
from worksite.builder.domain.redaction import presentable
from worksite.builder.domain.routes import HttpRoute, pinned_http
from worksite.builder.domain.urls import check_url
from worksite.builder.lookup import Lookup, addresses_of
from worksite.builder.remote import Limits, RemoteUnavailable
from worksite.common.errors import StepRefused

log = logging.getLogger(__name__)
T = TypeVar("T")
_SECONDS = 30.0
_MAX_BYTES = 4 << 20
_ACCESS = "the forge does not take the token of GIT_CREDENTIALS for this project"
_REFUSALS = {
    401: ("access_denied", _ACCESS),
    403: ("access_denied", _ACCESS),
    404: ("repository_not_found", "the forge has no such project, or does not show it to the token of GIT_CREDENTIALS"),
}


_LIST: TypeAdapter[list[Shown]] = TypeAdapter(list[Shown])
_PAGE, _MAX_PAGES = 100, 20


@dataclass(frozen=True)
class GitLab:
    """One project there. Every method raises StepRefused and RemoteUnavailable."""

    credential: Credential
    project: str
    limits: Limits
    lookup: Lookup = addresses_of

    async def find(self, wanted: MergeRequest) -> Shown | None:
        """The one that has been opened for this, in whatever state it is."""
        return ours(await self._from(wanted.source), wanted)

    async def _from(self, branch: str) -> list[Shown]:
        """All, those of forks too, of which there may be many. Raises RemoteUnavailable where there is no end."""
        query, found = {"source_branch": branch, "state": "all", "per_page": str(_PAGE)}, list[Shown]()
        for page in range(1, _MAX_PAGES + 1):
            some = _parsed(_LIST, await self._call("GET", params=query | {"page": str(page)}))
            found += some
            if len(some) < _PAGE:
                return found
        raise RemoteUnavailable(f"the forge has more than {len(found)} merge requests from branches of that name")

    async def open(self, wanted: MergeRequest) -> Shown:
        """A new one; or the one that somebody opened since we looked, as GitLab allows one per branch and target."""
        body = {
            "source_branch": wanted.source,
            "target_branch": wanted.target,
            "title": wanted.title,
            "description": wanted.description,
        }
        answer = await self._call("POST", json=body)
        if answer.status_code != httpx.codes.CONFLICT:
            return _parsed(TypeAdapter(Shown), answer)
        if found := await self.find(wanted):
            return found
        raise RemoteUnavailable("the forge says that there is a merge request, and does not show it yet")

    async def _call(
        self, method: str, params: Mapping[str, str] | None = None, json: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """An answer of 2xx, or 409."""
        url = f"{self.credential.api_url}/projects/{quote(self.project, safe='')}/merge_requests"
        try:
            answer = await self._sent(method, url, params, json)
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("%s %s: %s", method, url, presentable(repr(error), self.credential.secrets))
            raise RemoteUnavailable("the forge does not answer") from error
        if answer.is_success or answer.status_code == httpx.codes.CONFLICT:
            return answer
        said = presentable(answer.text, self.credential.secrets)
        log.warning("%s %s: %d %s", method, url, answer.status_code, said)
        if answer.status_code in (408, 429) or answer.is_server_error:
            raise RemoteUnavailable("the forge does not answer")
        code, detail = _REFUSALS.get(
            answer.status_code, ("merge_request_refused", f"the forge refuses it (status {answer.status_code})")
        )
        raise StepRefused(code, detail)

    async def _sent(
        self, method: str, url: str, params: Mapping[str, str] | None, json: Mapping[str, str] | None
    ) -> httpx.Response:
        """Pinned to an address that was checked, under the host's own name; redirects are not followed."""
        route = await self._route(url)
        headers = {**route.headers, "PRIVATE-TOKEN": self.credential.token.get_secret_value()}
        async with httpx.AsyncClient(timeout=_SECONDS, headers=headers) as client:
            extensions = dict(route.extensions)
            request = client.build_request(method, route.url, params=params, json=json, extensions=extensions)
            answer = await client.send(request, stream=True)
            try:
                return await _read(answer)
            finally:
                await answer.aclose()

    async def _route(self, url: str) -> HttpRoute:
        host = check_url(url, allow_file=False)
        if host is None or self.limits.allow_private_hosts:
            return HttpRoute(url)
        addresses = await self.lookup(host)
        refuse_private(addresses)
        return pinned_http(url, host, addresses)


async def _read(answer: httpx.Response) -> httpx.Response:
    """The same with its content. Raises RemoteUnavailable for more than a page of merge requests can be."""
    content = b""
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > _MAX_BYTES:
            raise RemoteUnavailable("the forge answers with more than it was asked for")
    return httpx.Response(answer.status_code, headers={"Content-Type": "application/json"}, content=content)


def _parsed(kind: TypeAdapter[T], answer: httpx.Response) -> T:
    try:
        return kind.validate_json(answer.content)
    except ValidationError as error:
        raise RemoteUnavailable("the forge answers something else than GitLab does") from error
