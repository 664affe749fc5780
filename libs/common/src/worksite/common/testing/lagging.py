"""A bus whose reads are answered by a replica that lags, as any read but the leader's may be in a cluster."""

from __future__ import annotations

from worksite.common.bus import Bus, Stored, Tip

_EVERYTHING = 100_000


class LaggingBus(Bus):
    """`fall_behind` makes a replica of that stream stand still; writes, consumers and `newest` are the leader's."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # pyright: ignore[reportArgumentType]
        self._replicas: dict[str, list[Stored]] = {}

    async def fall_behind(self, stream: str) -> None:
        """From now on its reads show what there is now."""
        self._replicas[stream] = await Bus.read(self, stream, ">", 0, _EVERYTHING)

    def catch_up(self) -> None:
        """All of them."""
        self._replicas.clear()

    async def tip(self, stream: str, subject: str, *, history: bool = True) -> Tip:
        if stream not in self._replicas:
            return await super().tip(stream, subject, history=history)
        seen = self._seen(stream, subject, 0)
        return Tip(seen[-1].sequence, seen[-1]) if seen else Tip(0, None)

    async def read(self, stream: str, subject_filter: str, after: int, limit: int = 256) -> list[Stored]:
        if stream not in self._replicas:
            return await super().read(stream, subject_filter, after, limit)
        return self._seen(stream, subject_filter, after)[:limit]

    def _seen(self, stream: str, subject_filter: str, after: int) -> list[Stored]:
        replica = self._replicas[stream]
        return [stored for stored in replica if stored.sequence > after and _matches(subject_filter, stored.subject)]


def _matches(subject_filter: str, subject: str) -> bool:
    wanted, tokens = subject_filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1] if len(tokens) >= len(wanted) else []
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True))
