"""When the bus does not answer because the disk is full, the command says so."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from worksite.cli.client.access import Access, ClientSettings
from worksite.cli.client.connection import Connection
from worksite.cli.client.refusals import GatewayError
from worksite.cli.stack.state import State
from worksite.common.health import http_server

UNAVAILABLE = {"title": "Unavailable", "detail": "the message bus does not answer; try again"}


async def unavailable(_):
    return JSONResponse(UNAVAILABLE, 503, {"Retry-After": "2"})


class OnAFullDisk(Access):
    def full_disk(self):
        return self.state.root


async def refusal(kind, root: Path) -> str:
    app = Starlette(routes=[Route("/v1/tasks", unavailable, methods=["POST"])])
    async with http_server(app, "127.0.0.1", 0) as port:
        access = kind(f"http://127.0.0.1:{port}", State(root), ClientSettings(token=SecretStr("t")))
        async with Connection(access, "local", lambda _: None) as connection:
            with pytest.raises(GatewayError) as refused:
                await connection.call("POST", "/v1/tasks", json={})
    return str(refused.value)


@pytest.mark.asyncio
async def test_a_full_disk_is_named_where_the_bus_does_not_answer(tmp_path):
    assert f"The disk of {tmp_path} is full: free some space" in await refusal(OnAFullDisk, tmp_path)


@pytest.mark.asyncio
async def test_a_disk_with_room_is_not_blamed(tmp_path):
    assert await refusal(Access, tmp_path) == "Unavailable: the message bus does not answer; try again"


def test_the_disk_of_a_gateway_elsewhere_is_not_looked_at(tmp_path):
    settings = ClientSettings(url="https://gateway.example")
    assert Access("https://gateway.example", State(tmp_path), settings).full_disk() is None
