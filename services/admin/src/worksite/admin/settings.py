"""Settings of admin, beside those that every service has."""

from __future__ import annotations

from pydantic import Field
from worksite.common.llm.settings import ModelSettings
from worksite.common.settings import ServiceSettings
from worksite.common.subjects import LONGEST_TIMER_DAYS


class AdminSettings(ServiceSettings, ModelSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR."""

    admin_port: int = Field(
        default=8080, ge=0, le=65535, description="port of admin's operations endpoint; 0: any free"
    )
    approval_days: float = Field(
        default=7, gt=0, le=LONGEST_TIMER_DAYS, description="time that an approver has before the task fails"
    )
    sweep_seconds: float = Field(
        default=30, gt=0, le=3600, description="time between two looks at what a crash may have left standing"
    )
    collect_seconds: float = Field(
        default=3600, gt=0, le=86_400, description="time between two removals of artifacts that no task names"
    )
    route_embed_seconds: float = Field(
        default=0.5, gt=0, le=10, description="how long rag may take for a request's vector; then it is routed without"
    )
    route_model_seconds: float = Field(
        default=20,
        gt=0,
        le=120,
        description="how long a language model may take to choose a route; then it goes on without",
    )
    worker_concurrency: int = Field(
        default=16, ge=1, le=64, description="events handled at a time, per stream; they wait for the bus, not the CPU"
    )

    @property
    def operations_port(self) -> int:
        """Admin's endpoint has a well-known port of its own."""
        return self.admin_port
