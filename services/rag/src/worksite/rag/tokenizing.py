"""What is done with a model's tokenizer, whatever computes the model."""

from __future__ import annotations

from tokenizers import Encoding, Tokenizer


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that pads nothing and cuts nothing."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


def encoded(tokenizer: Tokenizer, text: str, add_special_tokens: bool = True) -> Encoding:
    """As a batch of one, which is computed outside of the GIL; `encode` holds it, for seconds where a text is long."""
    return tokenizer.encode_batch([text], add_special_tokens=add_special_tokens)[0]
