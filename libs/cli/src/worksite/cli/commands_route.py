"""What `worksite route` does, through the public API; `groups/route.py` only parses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from worksite.cli.client.counting import counting
from worksite.cli.client.gateway import Gateway
from worksite.cli.routing.evaluation import Answer, evaluation
from worksite.cli.routing.labelled import Labelled, Split, read_labelled
from worksite.cli.routing.report import report
from worksite.cli.session import Session, StackOptions, on_some_stack
from worksite.common.errors import Permanent
from worksite.common.llm.pricing import Prices

_UNASKED = "would_be_asked"
_ASSUMED = {
    "new": "for a new project, as 'worksite run' without --repo and --git-url makes one",
    "existing": "for an existing project, as with --repo or --git-url",
}


async def explain(request: str, named: str | None, existing: bool, session: Session, stack: StackOptions) -> None:
    """Print the decision and what each stage made of the request."""
    project = "existing" if existing else "new"
    body = {"request": request, "route": named, "project": project}

    async def ask() -> dict[str, Any]:
        async with session.gateway() as gateway:
            return await gateway.explain_route(body)

    explained = await on_some_stack(session, stack, ask)
    session.screen.tell(_ASSUMED[project])
    for line in _told(explained):
        session.screen.tell(line)


async def evaluate(file: Path, split: Split, session: Session, stack: StackOptions) -> None:
    """Ask about every request of the split, and print what came of it."""
    labelled = [row for row in read_labelled(file) if split in ("all", row.split)]
    if not labelled:
        raise Permanent(f"{file} has no labelled requests of the split {split}")
    answers = await on_some_stack(session, stack, lambda: _asked(labelled, session))
    prices = Prices.shipped(_today())
    session.screen.tell(report(evaluation(answers), split, prices))


async def _asked(labelled: list[Labelled], session: Session) -> list[Answer]:
    answers: list[Answer] = []
    async with session.gateway() as gateway:
        with counting(session.screen.progress, "asking", len(labelled)) as reached:
            for row in labelled:
                answers.append(await _answer(gateway, row))
                reached(len(answers))
    return answers


async def _answer(gateway: Gateway, row: Labelled) -> Answer:
    """As it would be with a model, so that the same run tells what one would be needed for."""
    explained = await gateway.explain_route({"request": row.request, "assume_model": True})
    routing, asking = explained["routing"], explained["asking"]
    return Answer(
        row=row,
        route=explained["route"],
        stage=routing["stage"],
        confidence=routing["confidence"],
        difficulty=routing["difficulty"],
        latency_ms=routing["latency_ms"],
        prompt_tokens=asking["prompt_tokens"],
        answer_tokens=asking["answer_tokens"],
    )


def _told(explained: dict[str, Any]) -> list[str]:
    routing = explained["routing"]
    lines = [f"{explained['route']}, {routing['difficulty'] or 'difficulty unknown'}: {routing['reason']}"]
    sure = f"confidence {routing['confidence']:.2f}, in {routing['latency_ms']:.1f} ms"
    if explained["stages"][-1]["outcome"] == _UNASKED:
        lines.append(f"not decided, a first guess: {sure}; a run would ask a model about it")
    else:
        lines.append(f"decided by {routing['stage']}, {sure}")
    for stage in explained["stages"]:
        chances = sorted(stage["probabilities"].items(), key=lambda item: -item[1])
        listed = ", ".join(f"{route} {chance:.2f}" for route, chance in chances)
        outcome = stage["outcome"].replace("_", " ")
        line = f"  {stage['stage']:<10} {outcome:<14} {stage['latency_ms']:>7.2f} ms  {stage['reason']}"
        lines.append(f"{line} ({listed})" if listed else line)
    asking = explained["asking"]
    lines.append(
        f"asking a model takes about {asking['prompt_tokens']} tokens of prompt and {asking['answer_tokens']} of answer"
    )
    return lines


def _today() -> date:
    return datetime.now(UTC).date()
