"""What is done with a model's tokenizer, whatever computes the model."""

from __future__ import annotations

from tokenizers import Encoding, Tokenizer

_SHORT = 1000
"""Characters that take less time than waiting for the GIL again can, when threads want it: a third of a millisecond."""


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that pads nothing and cuts nothing."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


def encoded(tokenizer: Tokenizer, text: str, add_special_tokens: bool = True) -> Encoding:
    """A long text as a batch of one, which is computed outside of the GIL; `encode` would hold it for seconds."""
    if len(text) <= _SHORT:
        return tokenizer.encode(text, add_special_tokens=add_special_tokens)
    return tokenizer.encode_batch([text], add_special_tokens=add_special_tokens)[0]
