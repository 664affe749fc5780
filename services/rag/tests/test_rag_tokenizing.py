"""A text is cut into the same tokens whichever way it takes."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from worksite.rag.embedder import SHIPPED
from worksite.rag.tokenizing import encoded


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("length", [1, 999, 1000, 1001, 5000])
def test_tokens_of_a_text_do_not_depend_on_its_length(length: int, special: bool) -> None:
    tokenizer = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
    text = ("snake_case, CamelCase Ünïcode 🧪 and words. " * 200)[:length]
    (expected,) = tokenizer.encode_batch([text], add_special_tokens=special)
    assert encoded(tokenizer, text, special).ids == expected.ids
