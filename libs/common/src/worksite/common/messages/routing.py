"""How a route is chosen: what admin asks rag for it, and what a client may ask admin about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages.base import Message, Model, Tenant
from worksite.common.messages.replies import Route, RouteDecision, RouteStage
from worksite.common.messages.tasks import MAX_REQUEST_BYTES, RequestText


class EmbedText(Message):
    """Asks rag for the vector of a text, as its model of questions has it."""

    type: Literal["embed_text"] = "embed_text"
    text: str = Field(min_length=1, max_length=MAX_REQUEST_BYTES)


class Embedding(Message):
    """The unit vector. Vectors of two embedders say nothing about each other."""

    type: Literal["embedding"] = "embedding"
    embedder: str = Field(description="fingerprint of model, tokenizer and backend")
    vector: tuple[float, ...]


class ExplainRoute(Message):
    """Asks admin which route a request would take. No task is made, and no language model is called."""

    type: Literal["explain_route"] = "explain_route"
    tenant: Tenant
    request: RequestText
    route: Route | None = None
    new_project: bool = Field(default=False, description="there is nothing to review or to fix yet")
    assume_model: bool = Field(default=False, description="as it would be if a language model could be asked")


class StageReport(Model):
    """What one stage of the cascade made of a request."""

    stage: RouteStage
    outcome: Literal["decided", "passed", "stepped_aside", "would_be_asked"] = Field(
        description="stepped_aside: it could not be asked at all; would_be_asked: a model, which costs"
    )
    reason: str
    latency_ms: float
    probabilities: dict[Route, float] = Field(default={}, description="classifier: of each route, calibrated")


class ModelCallSize(Model):
    """What asking a model about this request takes, estimated: a token for three characters."""

    prompt_tokens: int
    answer_tokens: int


class RouteExplained(Message):
    """The decision that a task would get now, and how it came about.

    With stage `model` a model would be asked; the route is then the classifier's, which is not sure of it.
    """

    type: Literal["route_explained"] = "route_explained"
    decision: RouteDecision
    stages: tuple[StageReport, ...] = Field(description="those that were asked, in order")
    asking: ModelCallSize
