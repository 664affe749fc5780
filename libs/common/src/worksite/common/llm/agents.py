"""A model at work: it uses tools until it answers, and its answer is checked before anybody builds on it.

    ask -> run the tools it wants -> ask -> … -> an answer in its form -> checked -> perhaps sent back with the reasons

Every call and every result of a tool is journaled (`calls.py`), so that a replay gets here again without paying for a
call and runs nothing but the edits.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from worksite.common.errors import StepRefused, StepWaits
from worksite.common.llm.calls import StepCalls
from worksite.common.llm.circles import Attention
from worksite.common.llm.conversation import (
    Completion,
    ModelRequest,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    user,
)
from worksite.common.llm.errors import AgentStuck, BudgetExceeded, ModelRequestRefused, OutputRejected, UnknownPrice
from worksite.common.llm.outputs import GARBLED, parsed, schema_of, shortly
from worksite.common.llm.surrogates import spelled

log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)
_MAX_RESULT_CHARACTERS = 30_000
_GOES_ON = "Then answer, and the task goes on: this step is begun anew."
_OTHER_KEY = f"Whoever runs this system can mend ANTHROPIC_API_KEY, its account, or ANTHROPIC_BASE_URL. {_GOES_ON}"


class ToolFailed(Exception):
    """A tool cannot do what it was asked to; the text is for the model, which may ask otherwise."""


@dataclass(frozen=True)
class AgentTool:
    """Something an agent may do. `edits`: it changes what later uses build on, in the same way each time."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[Any], Awaitable[str]]
    edits: bool = False

    @property
    def offered(self) -> Tool:
        """As the model is told of it."""
        return Tool(name=self.name, description=self.description, input_schema=schema_of(self.arguments))

    async def result(self, use: ToolUse) -> ToolResult:
        """What came of it; what the model did wrong is an error that it can read."""
        try:
            said = await self.run(self.arguments.model_validate(use.input))
        except ValidationError as error:
            return ToolResult(tool_use_id=use.id, content=shortly(error, "the input"), is_error=True)
        except ToolFailed as error:
            return ToolResult(tool_use_id=use.id, content=_bounded(str(error)), is_error=True)
        return ToolResult(tool_use_id=use.id, content=_bounded(said) or "(nothing)")


async def found_once(calls: StepCalls, name: str, find: Callable[[], Awaitable[str]]) -> str:
    """What a step looks up by itself, under a name of its own: journaled, so that a replay goes by the very same."""

    async def run() -> ToolResult:
        return ToolResult(tool_use_id=name, content=spelled(await find()))

    return (await calls.use(ToolUse(id=name, name=name, input={}), run)).content


async def _nothing_wrong(_: Any) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Agent(Generic[M]):
    """One piece of work. `faults` says what is wrong with an answer that has the right form; it may go back so often
    as there are `corrections`."""

    calls: StepCalls
    answer: type[M]
    tools: Sequence[AgentTool] = ()
    faults: Callable[[M], Awaitable[Sequence[str]]] = _nothing_wrong
    corrections: int = 1
    max_turns: int = 100
    _by_name: dict[str, AgentTool] = field(init=False, default_factory=dict[str, AgentTool])

    def __post_init__(self) -> None:
        self._by_name.update({tool.name: tool for tool in self.tools})

    async def work(self, request: ModelRequest) -> M:
        """From this opening to an answer without faults; tools and form are added to the request.

        Raises StepRefused for whatever trying again cannot help, ModelUnavailable, Fenced, BusUnavailable.
        """
        offered = tuple(tool.offered for tool in self.tools)
        with told_to_the_client(self.calls.server):
            return await self._work(request.model_copy(update={"tools": offered, "output": schema_of(self.answer)}))

    async def _work(self, request: ModelRequest) -> M:
        attention, corrections = Attention(any(tool.edits for tool in self.tools)), self.corrections
        for _ in range(self.max_turns):
            reply = await self.calls.ask(request)
            if reply.tool_uses:
                request, attention = await self._tools_used(request, reply, attention)
            elif reply.stop_reason == "pause_turn":
                request = _gone_on(request, reply)
            else:
                answer, wrong = await self._judged(reply)
                if answer is not None:
                    return answer
                if corrections == 0:
                    raise OutputRejected("unusable", "; ".join(wrong))
                corrections -= 1
                request = _gone_on(request, _spoken(reply, wrong), user(_sent_back(wrong)))
        raise AgentStuck(f"the model was not done after {self.max_turns} turns")

    async def _tools_used(
        self, request: ModelRequest, reply: Completion, attention: Attention
    ) -> tuple[ModelRequest, Attention]:
        """One after the other, in the order in which they were asked for."""
        turn = [(use, _unreadable(use) if reply.garbled else await self._used(use)) for use in reply.tool_uses]
        edited = any(self._edits(use) and not result.is_error for use, result in turn)
        attention = attention.after(turn, edited)
        if attention.stuck:
            raise AgentStuck("the model goes in circles: it asks for the same again and again, or changes nothing")
        hint = (Text(text=attention.nudge),) if attention.nudge else ()
        results = Turn(role="user", content=(*(result for _, result in turn), *hint))
        return _gone_on(request, reply, results), attention

    async def _used(self, use: ToolUse) -> ToolResult:
        tool = self._by_name.get(use.name)
        if tool is None:
            return ToolResult(tool_use_id=use.id, content=f"there is no tool {use.name}", is_error=True)
        return await self.calls.use(use, partial(tool.result, use), repeat=tool.edits)

    def _edits(self, use: ToolUse) -> bool:
        return use.name in self._by_name and self._by_name[use.name].edits

    async def _judged(self, reply: Completion) -> tuple[M | None, Sequence[str]]:
        """The answer, or what is wrong with it. A refusal is final."""
        try:
            answer = parsed(reply, self.answer)
        except OutputRejected as error:
            if error.reason == "refusal":
                raise
            return None, (error.detail,)
        wrong = await self.faults(answer)
        return (None, wrong) if wrong else (answer, ())


@contextlib.contextmanager
def told_to_the_client(server: str) -> Generator[None]:
    """What no further try can help becomes a refusal in words for the client; what a person can mend, a question.
    `server`: where the models are."""
    try:
        yield
    except BudgetExceeded as error:
        hint = f"Whoever runs this system can raise BUDGET_{error.scope.upper()}_USD. {_GOES_ON}"
        raise StepWaits("budget_exceeded", _sentence(str(error)), hint) from error
    except ModelRequestRefused as error:
        if error.is_about_our_account:
            detail = f"The language model at {server} cannot be used: {error}."
            raise StepWaits("model_request_refused", detail, _OTHER_KEY) from error
        raise StepRefused("model_request_refused", f"the language model cannot be used: {error}") from error
    except OutputRejected as error:
        code = "model_refused" if error.reason == "refusal" else "unusable_answer"
        raise StepRefused(code, f"the language model gave no answer that can be used: {error.detail}") from error
    except (AgentStuck, UnknownPrice) as error:
        code = "agent_stuck" if isinstance(error, AgentStuck) else "unknown_price"
        raise StepRefused(code, str(error)) from error


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _unreadable(use: ToolUse) -> ToolResult:
    """Nobody knows which of the reply's uses were meant as they stand."""
    return ToolResult(tool_use_id=use.id, content=GARBLED, is_error=True)


def _gone_on(request: ModelRequest, reply: Completion, *answers: Turn) -> ModelRequest:
    """With the reply, as no provider takes back one without content, or with two uses of a tool by one id."""
    try:
        return request.then(reply.turn, *answers)
    except ValidationError as error:
        raise OutputRejected("unusable", shortly(error, "the reply")) from error


def _spoken(reply: Completion, wrong: Sequence[str]) -> Completion:
    """The answer as it goes back; a use of a tool that was cut off is left out, as nothing can answer it."""
    parts = tuple(part for part in reply.content if not isinstance(part, ToolUse))
    if not any(isinstance(part, Text) and part.text.strip() for part in parts):
        raise OutputRejected("unusable", "; ".join(wrong))
    return reply.model_copy(update={"content": parts})


def _sent_back(wrong: Sequence[str]) -> str:
    reasons = "\n".join(f"- {reason}" for reason in wrong)
    return f"Your answer cannot be used:\n{reasons}\nMend this, and give your whole answer again."


def _bounded(text: str) -> str:
    """As a model can be told: a file's name may be no text."""
    text = spelled(text)
    if len(text) <= _MAX_RESULT_CHARACTERS:
        return text
    return f"{text[:_MAX_RESULT_CHARACTERS]}\n… cut: {len(text)} characters in all"
