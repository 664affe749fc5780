"""A prompt as the cache sees it: blocks in the order tools, system, messages, each with its bytes and its tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import BaseModel
from worksite.common.testing.messages_api.requests import Cacheable, CacheControl, Countable

BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class PromptBlock:
    """`part` is tools, system or messages."""

    part: str
    data: bytes
    control: CacheControl | None

    @property
    def tokens(self) -> int:
        return tokens(self.data)


def tokens(data: bytes) -> int:
    """The one rule by which this server counts: a token for every four bytes begun. Counting, usage and limits agree
    on it, and a prefix has as many tokens as its blocks together."""
    return -(-len(data) // BYTES_PER_TOKEN)


def prompt_of(request: Countable) -> list[PromptBlock]:
    """Every block once; a mark at the top of the request is one on its last block."""
    blocks = [_block("tools", tool) for tool in request.tools]
    blocks += [_block("system", block) for block in request.system_blocks]
    for message in request.messages:
        blocks += [_block("messages", block, message.role) for block in message.blocks]
    if request.cache_control and blocks[-1].control is None:
        blocks[-1] = PromptBlock(blocks[-1].part, blocks[-1].data, request.cache_control)
    return blocks


def _block(part: str, block: BaseModel, role: str = "") -> PromptBlock:
    plain = block.model_dump(exclude={"cache_control"}, exclude_defaults=True)
    data = json.dumps([role, plain] if role else plain, sort_keys=True, ensure_ascii=False).encode()
    return PromptBlock(part, data, block.cache_control if isinstance(block, Cacheable) else None)
