"""The workers: tasks beside the HTTP interface that hand stored deliveries to the handler."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from . import queue
from .context import Context
from .handling import Handler, PermanentFailure, Webhook
from .queue import Claim

log = logging.getLogger(__name__)


class Workers:
    """Runs up to ``WEBHOOK_CONCURRENCY`` handlers at once."""

    def __init__(self, context: Context, handler: Handler) -> None:
        self._context = context
        self._handler = handler
        self._bell = asyncio.Event()
        self._handling: set[asyncio.Task[str | None]] = set()
        self._stopping = False

    def wake(self) -> None:
        """Say that a delivery has come, so that nobody waits for the next look at the queue."""
        self._bell.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work until the block ends; then handlers are cancelled and their deliveries given back."""
        count = self._context.settings.concurrency
        tasks = [asyncio.create_task(self._work()) for _ in range(count)]
        try:
            yield
        finally:
            self._stopping = True
            self._bell.set()
            for handling in self._handling:
                handling.cancel()
            await asyncio.gather(*tasks)

    async def _work(self) -> None:
        while not self._stopping:
            try:
                await self._work_once()
            except SQLAlchemyError:
                # Nothing is lost: what was claimed is due again when its lease ends.
                log.exception("the database failed; trying again")
                await asyncio.sleep(self._context.settings.poll_seconds)

    async def _work_once(self) -> None:
        self._bell.clear()
        claim = await asyncio.to_thread(queue.claim, self._context)
        if claim is not None:
            await self._attempt(claim)
        elif not self._stopping:
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._context.settings.poll_seconds):
                await self._bell.wait()
        except TimeoutError:
            pass

    async def _attempt(self, claim: Claim) -> None:
        # A task of its own, so that a stop reaches the handler and never the bookkeeping.
        handling = asyncio.create_task(self._call(claim.webhook))
        self._handling.add(handling)
        if self._stopping:
            handling.cancel()
        try:
            await asyncio.wait({handling})
        finally:
            self._handling.discard(handling)
        await asyncio.to_thread(self._record, claim, handling)

    async def _call(self, webhook: Webhook) -> str | None:
        seconds = self._context.settings.handler_timeout_seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._handler(webhook)
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"the handler took longer than {seconds:g} s") from None
            raise

    def _record(self, claim: Claim, handling: asyncio.Task[str | None]) -> None:
        if handling.cancelled():
            if self._stopping:
                queue.release(self._context, claim)
            else:
                queue.fail(self._context, claim, "The handler was cancelled.", permanent=False)
        elif error := handling.exception():
            log.warning("%s failed: %r", claim.webhook.idempotency_key, error)
            permanent = isinstance(error, PermanentFailure)
            text = f"{type(error).__name__}: {error}"
            queue.fail(self._context, claim, text, permanent=permanent)
        else:
            queue.succeed(self._context, claim, handling.result())
