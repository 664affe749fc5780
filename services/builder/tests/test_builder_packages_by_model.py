"""A model builds one work package: a commit of its own, upon what is merged, and nothing of the others'."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.builder.coding import Modelling
from worksite.builder.testing import Desk, a_spec, build_command, run_git
from worksite.common.bus import Bus
from worksite.common.errors import StepRefused
from worksite.common.llm import Conversation, Prices, Reply, Script, ScriptedModel, ToolUse
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.governor import Governor
from worksite.common.llm.prompts import load_prompt
from worksite.common.messages import Changeset, ImportedProject, PackageWork, WorkPackage

pytestmark = pytest.mark.asyncio
MODEL = "claude-sonnet-5-5"
PROMPTS = Path(__file__).parents[3] / "prompts"
LONG = "It is done. " * 100


def package(name: str, *after: str) -> WorkPackage:
    return WorkPackage(
        id=name, title=f"The {name}", summary=name, criteria=("greets",), files=(f"{name}.py",), after=after
    )


SPEC = a_spec(None).model_copy(update={"packages": (package("cart"), package("prices"), package("till", "cart"))})


def writing(name: str, opening: str) -> Conversation:
    given = {"path": f"{name}.py", "content": f"NAME = {name!r}\n"}
    built = {"type": "built", "summary": LONG}
    answer = {"action": "build", "agent": "builder", "status": "ok", "data": built}
    use = ToolUse.model_validate({"id": "use_1", "name": "write_file", "input": given})
    return Conversation(opening=opening, replies=(Reply(content=(use,)), Reply.saying(json.dumps(answer))))


@dataclass
class Team:
    """A desk whose builder writes a file of the package's name."""

    desk: Desk
    project: ImportedProject
    model: ScriptedModel = field(init=False)
    steps: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.model = ScriptedModel(
            Script(
                conversations=(
                    writing("cart", "Build work package cart, a new"),
                    writing("prices", "Build work package prices, a new"),
                    writing("till", "Build work package till on what is merged so far, a new"),
                    writing("mended", "Build round 2"),
                )
            )
        )

    async def build(self, name: str | None = None, **options: object) -> Changeset:
        spec = await self.desk.artifacts.put_message(SPEC)
        step = {"step": f"{next(self.steps)}-build", "package": name}
        return await self.desk.build(build_command(spec, self.project, **(step | options)))

    async def merge(self, **parts: Changeset) -> Changeset:
        return await self.build(parts=[PackageWork(package=name, changeset=made) for name, made in parts.items()])


@pytest_asyncio.fixture
async def team(desk: Desk, bus: Bus) -> Team:
    made = Team(desk, await desk.import_new())
    terms = Terms(made.model, Prices.shipped(date(2026, 11, 23)), Governor(bus, {}))
    calls = ModelCalls(bus, "builder", terms, BudgetLimits(10**9, 10**9, 10**9))
    desk.modelling = Modelling(calls, lambda _: MODEL, load_prompt(PROMPTS, "builder"))
    return made


async def test_a_package_is_one_commit_on_the_base_that_names_it(team: Team, tmp_path: Path) -> None:
    made = await team.build("cart")
    clone = await team.desk.unbundle(made.bundle, tmp_path / "clone")
    assert run_git(clone, "log", "-1", "--format=%s|%P|%(trailers:key=Worksite-Package,valueonly)").strip() == (
        f"The cart|{team.project.base_sha}|cart"
    )
    assert made.summary == f"The cart: {LONG[:300]}", "eight of them travel in one message"
    assert any(line.startswith("building cart with model:") for line in team.desk.progress)


async def test_the_first_of_a_wave_is_merged_as_the_very_commit_that_its_builder_made(team: Team) -> None:
    cart, prices = await team.build("cart"), await team.build("prices")
    merged = await team.merge(prices=prices, cart=cart)
    alone = await team.merge(cart=cart)
    assert alone.head_sha == cart.head_sha
    assert (merged.files_changed, merged.conflicts, merged.engine) == (2, (), "git")


async def test_a_package_that_builds_on_others_is_a_continuation_and_a_repair_is_one_commit_of_the_whole(
    team: Team, tmp_path: Path
) -> None:
    merged = await team.merge(cart=await team.build("cart"), prices=await team.build("prices"))
    till = await team.build("till", previous=merged)
    clone = await team.desk.unbundle(till.bundle, tmp_path / "clone")
    assert run_git(clone, "rev-parse", "HEAD^", "HEAD~3").split() == [merged.head_sha, team.project.base_sha]
    assert (till.base_sha, till.files_changed) == (team.project.base_sha, 3)

    repaired = await team.build(None, round=2, previous=till)
    clone = await team.desk.unbundle(repaired.bundle, tmp_path / "repaired")
    assert run_git(clone, "rev-parse", "HEAD^") == team.project.base_sha
    assert sorted(run_git(clone, "ls-files").split()) == ["cart.py", "mended.py", "prices.py", "till.py"]


async def test_a_package_that_the_spec_does_not_have_is_refused_before_a_model_is_asked(team: Team) -> None:
    with pytest.raises(StepRefused, match="no work package 'bank'") as refused:
        await team.build("bank")
    assert refused.value.code == "unknown_package"
    assert team.model.requests == []


async def test_a_merge_asks_no_model_and_needs_none(team: Team) -> None:
    cart = await team.build("cart")
    asked, team.desk.modelling = len(team.model.requests), None
    assert (await team.merge(cart=cart)).engine == "git"
    assert len(team.model.requests) == asked
