"""Places for bodies that are large and may come slowly."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator

from worksite.gateway import problems


class Places:
    """How many large bodies may be under way at once; half of them is all that one tenant may take."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def take(self, tenant: str) -> Generator[None]:
        """Hold a place. Raises a 429 problem for a tenant that has its share, a 503 problem when none is left."""
        if self._taken[tenant] >= (self._total + 1) // 2:
            raise problems.too_many_uploads()
        if self._taken.total() >= self._total:
            raise problems.uploads_busy()
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken -= Counter((tenant,))  # keeps no tenant that holds none
