"""What `worksite route eval` prints."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from worksite.cli.routing.evaluation import Answer, Evaluation, share
from worksite.cli.routing.labelled import Split
from worksite.common.llm.pricing import Prices
from worksite.common.llm.usage import Usage

HAIKU, OPUS = "claude-haiku-5-5", "claude-opus-5-5"
"""What the cascade is compared with; what is asked in a stack is a setting."""
HAIKU_MS = 597
"""Until the first token of Claude Haiku 4.5's answer to a prompt of about 200 tokens; the whole answer takes longer, so
that this flatters Haiku. Measured by K. Ganglani in March 2026
(www.kunalganglani.com/blog/llm-api-latency-benchmarks-2026).
"""


def report(found: Evaluation, split: Split, prices: Prices) -> str:
    """Markdown."""
    parts = _head(found, split), _stages(found), _calibration(found), _cost(found, prices), _time(found)
    return "\n".join(line for part in parts for line in part)


def _head(found: Evaluation, split: Split) -> Iterable[str]:
    seen = "which no weight, rule or cue was tuned on" if split == "test" else "which was trained on: see --split test"
    yield f"{len(found.answers)} labelled requests, split {split}, {seen}."
    alone = _percent(1 - found.share_model)
    yield f"Decided without a model: {alone}; the route is right for {_percent(found.accuracy_decided)} of these."
    yield f"All of them, where there is no model to ask: the route is right for {_percent(found.accuracy)}."
    yield f"Difficulty: {_percent(found.difficulty)} right, {_percent(found.difficulty_near)} at most one step off."


def _stages(found: Evaluation) -> Iterable[str]:
    yield from ("", "| stage | requests | right |", "|---|---|---|")
    for stage in ("rules", "classifier", "model", "default"):
        if answers := found.of_stage(stage):
            name = "model would be asked (first guess)" if stage == "model" else stage
            yield f"| {name} | {len(answers)} | {_percent(share(answers, _is_right))} |"


def _calibration(found: Evaluation) -> Iterable[str]:
    yield ""
    yield f"Calibration error: {found.calibration_error:.3f} (ECE, ten bins)."
    yield from ("", "| confidence | requests | mean confidence | right |", "|---|---|---|---|")
    for one in found.bins:
        yield f"| {one.low:.1f} to {one.low + 0.1:.1f} | {one.count} | {one.confidence:.2f} | {one.accuracy:.2f} |"


def _cost(found: Evaluation, prices: Prices) -> Iterable[str]:
    """Nothing is read from a cache: what the cascade asks about is too rare for that, and the prompt is short."""
    always = _usd(found.answers, HAIKU, prices)
    ours = _usd([answer for answer in found.answers if answer.needs_model], HAIKU, prices)
    opus = _usd(found.answers, OPUS, prices)
    thousand = Decimal(1000) / len(found.answers)
    row = prices.row(HAIKU)
    yield ""
    yield (
        f"Cost of 1,000 requests: ${ours * thousand:.4f}; always {HAIKU} ${always * thousand:.4f} "
        f"({_less(ours, always)}), always {OPUS} ${opus * thousand:.4f} ({_less(ours, opus)}). "
        f"Estimated tokens, prices since {row.since}, nothing cached."
    )


def _usd(answers: Iterable[Answer], model: str, prices: Prices) -> Decimal:
    costs = (
        prices.cost(model, Usage(input_tokens=answer.prompt_tokens, output_tokens=answer.answer_tokens))
        for answer in answers
    )
    return sum(costs, Decimal(0))


def _time(found: Evaluation) -> Iterable[str]:
    here, mean = found.latency, found.latency.mean + found.share_model * HAIKU_MS
    yield (
        f"Time without a model, measured in admin: p50 {here.p50:.1f} ms, p95 {here.p95:.1f} ms. "
        f"Always {HAIKU}: {HAIKU_MS} ms assumed, {HAIKU_MS / max(here.p50, 0.001):.0f} times the p50. "
        f"Mean with the model's share: {mean:.0f} ms, {HAIKU_MS / max(mean, 0.001):.1f} times less."
    )


def _is_right(answer: Answer) -> bool:
    return answer.right


def _less(ours: Decimal, other: Decimal) -> str:
    return f"{100 * (1 - ours / other):.0f} % less"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
