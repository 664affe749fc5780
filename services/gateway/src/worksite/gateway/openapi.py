"""The OpenAPI document: `python -m worksite.gateway.openapi [--check] FILE`. Needs no server."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from worksite.gateway import problems, routes
from worksite.gateway.domain.documents import NewDocuments
from worksite.gateway.domain.queries import SearchQuery
from worksite.gateway.domain.routing import RouteQuery
from worksite.gateway.domain.submission import ApprovalWord, Cancellation, NewTask, TaskInput

API_VERSION = "1.0.0"
_UNSEEN_MODELS = (
    NewTask,
    TaskInput,
    ApprovalWord,
    Cancellation,
    NewDocuments,
    SearchQuery,
    RouteQuery,
    problems.ProblemDocument,
)
"""Models that FastAPI does not see, because bodies and problems are not handled by it."""


def described_app(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    """An application without routes that describes what is added to it."""
    app = FastAPI(
        lifespan=lifespan,
        title="Worksite",
        version=API_VERSION,
        summary="A request in, a proved git branch out.",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own spans, metrics and logs would double ours, and its logs repeat the input.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    generate = app.openapi

    def completed() -> dict[str, Any]:
        document = generate()
        _, unseen = models_json_schema(
            [(model, "validation") for model in _UNSEEN_MODELS], ref_template="#/components/schemas/{model}"
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(unseen["$defs"])
        return document

    app.openapi = completed
    return app


def document() -> str:
    """The whole interface, the embedded issuer included; byte-equal from run to run."""
    app = described_app()
    app.include_router(routes.api())
    app.include_router(routes.issuer())
    return json.dumps(app.openapi(), indent=2, sort_keys=True) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="fail instead of writing")
    arguments = parser.parse_args()
    if not arguments.check:
        arguments.file.write_text(document())
    elif not arguments.file.exists() or arguments.file.read_text() != document():
        sys.exit(f"{arguments.file} is stale: run python -m worksite.gateway.openapi {arguments.file}")


if __name__ == "__main__":
    main()
