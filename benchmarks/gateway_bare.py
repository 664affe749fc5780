"""What `gateway.py` compares with: one FastAPI route that does nothing, served as the gateway is."""

from __future__ import annotations

import asyncio
import os

import uvloop
from fastapi import FastAPI
from worksite.common.health import http_server

app = FastAPI()


@app.get("/v1/tasks/{task_id}")
async def read(task_id: str) -> dict[str, str]:
    return {"id": task_id}


async def main() -> None:
    async with http_server(app, "127.0.0.1", int(os.environ["BENCH_PORT"])):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
