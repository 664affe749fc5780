"""The cache forgets what was not used for longest."""

from __future__ import annotations

from worksite.rag.caching import LruCache


def test_entry_that_was_not_used_for_longest_goes_first() -> None:
    cache = LruCache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_entry_can_be_replaced() -> None:
    cache = LruCache[str, int](2)
    cache.put("a", 1)
    cache.put("a", 2)
    cache.put("b", 3)
    assert (cache.get("a"), cache.get("b")) == (2, 3)
