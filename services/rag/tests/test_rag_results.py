"""What tasks have produced becomes documents of their tenant, once, whatever happens meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable, QueueFull
from worksite.common.messages import DocumentEntry, NewProject, UploadedProject
from worksite.common.testing import examples
from worksite.rag.confining import Confined, CutShort
from worksite.rag.results import MOST_CUTS, Results
from worksite.rag.unpacking import sources_in

pytestmark = pytest.mark.asyncio
A, B, C = (f"{n:032x}" for n in (1, 2, 3))
SHOP = NewProject(name="shop")
FILES = {"shop/cart.py": "def total(): ...\n", "README.md": "# Shop\n"}


class Added(list[tuple[str, str]]):
    """A backlog that only takes notes."""

    def add(self, tenant: str, document: str) -> None:
        self.append((tenant, document))


def results_on(bus: Bus, most: int = 50) -> Results:
    """As a process that has just been started."""
    tasks, marks, rows = [KeyValue(bus, name) for name in (subjects.TASKS, subjects.LEDGER, subjects.DOCUMENTS)]
    return Results(tasks, Artifacts(bus), rows, Artifacts(bus, store=subjects.KNOWLEDGE), marks, Added(), most)  # pyright: ignore[reportArgumentType]


async def wanted(client: Any) -> dict[str, DocumentEntry]:
    """The rows that ask for a document, by path."""
    rows = [DocumentEntry.consume(row.value) for row in await client.rows.entries()]
    return {row.path: row for row in rows if row.state != "deleting"}


async def finish_deletions(client: Any) -> None:
    """As the keeper does."""
    for row in await client.rows.entries():
        if DocumentEntry.consume(row.value).state == "deleting":
            await client.rows.delete(row.key, row.revision)


async def tasks_found(client: Any) -> set[str]:
    return {path.split("/")[1] for path in await wanted(client)}


async def test_spec_report_and_sources_of_a_completed_task_become_documents_of_its_tenant(
    bus: Bus, client: Any
) -> None:
    await client.finish(A, FILES, SHOP)
    results = results_on(bus)
    assert await results.look()
    found = await wanted(client)
    assert set(found) == {f"tasks/{A}/{name}" for name in ("spec.md", "report.md", *(f"branch/{f}" for f in FILES))}
    row = found[f"tasks/{A}/branch/shop/cart.py"]
    assert (row.tenant, row.tags, row.state, row.submitted_at) == ("acme", ("task", "shop"), "queued", client.clock)
    assert row.origin
    assert (row.origin.task, row.origin.project) == (A, "new:shop")
    assert b"def total(): ...\\n" in await client.texts.get(row.text)
    assert sorted(results.backlog) == sorted(("acme", document.id) for document in found.values())  # pyright: ignore


async def test_document_that_its_tenant_deletes_does_not_come_back(bus: Bus, client: Any) -> None:
    await client.finish(A, FILES, SHOP)
    await results_on(bus).look()
    await client.delete(f"tasks/{A}/spec.md")
    await finish_deletions(client)
    results = results_on(bus)
    assert await results.look()
    assert await results.look()
    assert f"tasks/{A}/spec.md" not in await wanted(client)
    assert len(await wanted(client)) == 3


async def test_result_of_a_later_task_on_the_same_project_replaces_all_of_the_earlier_one(
    bus: Bus, client: Any
) -> None:
    await client.finish(A, FILES | {"old.py": "x = 1\n"}, SHOP)
    running = results_on(bus)
    await running.look()
    await client.finish(B, FILES, SHOP)
    await client.finish(C, FILES, NewProject(name="other"))
    await running.look()
    assert await tasks_found(client) == {B, C}
    await finish_deletions(client)
    await results_on(bus).look()
    assert await tasks_found(client) == {B, C}


@pytest.mark.parametrize("route", ["review", "design"])
async def test_task_that_built_nothing_replaces_no_branch(bus: Bus, client: Any, route: str) -> None:
    running = results_on(bus)
    await client.finish(A, FILES, SHOP)
    await running.look()
    built = set(await wanted(client))
    for task in (B, C):
        routed = examples.task_state().route.model_copy(update={"route": route})
        await client.finish(task, {}, SHOP, route=routed)
        await running.look()
    assert set(await wanted(client)) == built | {f"tasks/{C}/spec.md", f"tasks/{C}/report.md"}


async def test_task_whose_branch_is_lost_does_not_replace_an_earlier_branch(bus: Bus, client: Any) -> None:
    await client.finish(A, FILES, SHOP)
    running = results_on(bus)
    await running.look()
    built = set(await wanted(client))
    await client.finish(B, FILES, SHOP, changeset=examples.task_state().changeset)  # nobody has stored that archive
    await running.look()
    assert set(await wanted(client)) == built | {f"tasks/{B}/spec.md", f"tasks/{B}/report.md"}


async def test_earlier_task_that_is_taken_up_late_replaces_nothing(bus: Bus, client: Any) -> None:
    late = client.clock
    await client.finish(B, FILES, SHOP)
    await results_on(bus).look()
    await client.finish(A, FILES, SHOP, updated_at=late)
    await results_on(bus).look()
    assert await tasks_found(client) == {B}


async def test_without_a_name_the_title_of_the_spec_or_the_upload_tells_which_project_it_is(
    bus: Bus, client: Any
) -> None:
    upload = UploadedProject(archive=examples.artifact(), format="zip")
    await client.finish(A, FILES, NewProject())
    await client.finish(B, FILES, NewProject())
    await results_on(bus).look()
    assert await tasks_found(client) == {A, B}
    for task in ("d" * 32, "e" * 32):
        await client.finish(task, FILES, upload)
    titled = examples.task_state().spec
    assert titled
    await client.finish(C, FILES, NewProject(), spec=titled.model_copy(update={"title": f"Task {B}"}))
    await results_on(bus).look()
    assert await tasks_found(client) == {A, C, "e" * 32}


async def test_later_task_that_has_lost_everything_costs_the_earlier_one_nothing(bus: Bus, client: Any) -> None:
    lost = examples.task_state()
    await client.finish(A, FILES, SHOP)
    await client.finish(B, FILES, SHOP, spec=lost.spec, judgement=lost.judgement, changeset=lost.changeset)
    assert await results_on(bus).look()
    assert await tasks_found(client) == {A}


async def test_tasks_that_were_completed_meanwhile_cost_no_row_where_a_later_one_replaces_them(
    bus: Bus, client: Any
) -> None:
    for task in (A, B):
        await client.finish(task, FILES, SHOP)
    await results_on(bus).look()
    assert {DocumentEntry.consume(row.value).path.split("/")[1] for row in await client.rows.entries()} == {B}


async def test_only_the_latest_tasks_of_a_tenant_are_kept(bus: Bus, client: Any) -> None:
    for task in (A, B):
        await client.finish(task, FILES, NewProject())
    running = results_on(bus, most=2)
    await running.look()
    await client.finish(C, FILES, NewProject())
    await running.look()
    assert await tasks_found(client) == {B, C}


async def test_document_that_the_tenant_put_there_is_left_alone(bus: Bus, client: Any) -> None:
    mine = f"tasks/{A}/spec.md"
    await client.send(mine, "my own words")
    before = await client.row(mine)
    await client.finish(A, FILES, SHOP)
    await results_on(bus).look()
    await client.finish(B, FILES, SHOP)
    await results_on(bus).look()
    assert await client.row(mine) == before
    assert await tasks_found(client) == {A, B}


async def test_result_that_is_lost_or_no_archive_costs_only_itself(bus: Bus, client: Any) -> None:
    state = examples.task_state()
    assert state.changeset
    await client.finish(A, FILES, SHOP, changeset=state.changeset)  # nobody has stored that archive
    broken = await Artifacts(bus).put(b"PK no archive", "application/zip")
    await client.finish(B, {}, NewProject(), changeset=state.changeset.model_copy(update={"archive": broken}))
    assert await results_on(bus).look()
    assert set(await wanted(client)) == {f"tasks/{task}/{name}.md" for task in (A, B) for name in ("spec", "report")}


async def test_trouble_with_one_task_is_tried_again_and_stops_no_other(
    bus: Bus, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.finish(A, FILES, SHOP)
    await client.finish(B, FILES, NewProject())
    results = results_on(bus)
    away = {"is": True}
    put = Artifacts.put_message

    async def refuse(self: Artifacts, message: Any) -> Any:
        if away["is"] and B in message.path:
            raise BusUnavailable("no answer")
        return await put(self, message)

    monkeypatch.setattr(Artifacts, "put_message", refuse)
    assert not await results.look()
    assert await tasks_found(client) == {A}
    away["is"] = False
    assert await results.look()
    assert await tasks_found(client) == {A, B}


async def test_store_that_is_full_ends_the_look_before_another_archive_is_read(
    bus: Bus, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.finish(A, FILES, SHOP)
    await client.finish(B, FILES, NewProject())
    results = results_on(bus)
    results.unpacker = unpacker = Unconfined("", 0)

    async def refuse(*_: Any) -> Any:
        raise QueueFull("no room")

    with monkeypatch.context() as full:
        full.setattr(Artifacts, "put_message", refuse)
        assert not await results.look()
    assert unpacker.runs == 1
    assert await results.look()
    assert await tasks_found(client) == {A, B}


async def test_bucket_that_was_made_anew_is_read_from_its_beginning(bus: Bus, client: Any) -> None:
    running = results_on(bus)
    for task in (A, B):
        await client.finish(task, FILES, NewProject())
    await running.look()
    stream = (await bus.jetstream.stream_info(f"KV_{subjects.TASKS}")).config
    await bus.jetstream.delete_stream(f"KV_{subjects.TASKS}")
    await bus.jetstream.add_stream(stream)
    await client.finish(C, FILES, SHOP)
    await running.look()
    assert await tasks_found(client) == {A, B, C}


async def test_branch_that_a_busy_machine_did_not_unpack_in_time_is_unpacked_later(bus: Bus, client: Any) -> None:
    await client.finish(A, FILES, SHOP)
    results = results_on(bus)
    results.unpacker = Unconfined("", 0, cuts=MOST_CUTS)
    assert [await results.look() for _ in range(MOST_CUTS + 1)] == [False] * MOST_CUTS + [True]
    assert len(await wanted(client)) == 4


async def test_branch_that_is_never_unpacked_in_time_costs_only_itself(bus: Bus, client: Any) -> None:
    await client.finish(A, FILES, SHOP)
    results = results_on(bus)
    results.unpacker = Unconfined("", 0, cuts=MOST_CUTS + 1)
    assert [await results.look() for _ in range(MOST_CUTS + 1)] == [False] * MOST_CUTS + [True]
    assert set(await wanted(client)) == {f"tasks/{A}/spec.md", f"tasks/{A}/report.md"}


async def test_row_of_a_task_that_cannot_be_read_stops_no_other(bus: Bus, client: Any) -> None:
    await KeyValue(bus, subjects.TASKS).create(f"acme.{C}", b"{")
    await client.finish(A, FILES, SHOP)
    await results_on(bus).look()
    assert await tasks_found(client) == {A}


class Killed(BaseException):
    """The process is gone; no handler of an Exception may notice."""


class MortalBus(Bus):
    left = 0
    before = True
    writes = 0

    async def publish_raw(self, *args: Any, **kwargs: Any) -> Any:
        self.writes += 1
        dies = self.writes == self.left
        if dies and self.before:
            raise Killed
        result = await super().publish_raw(*args, **kwargs)
        if dies:
            raise Killed
        return result


class Unconfined(Confined):
    """Starts no process, for a test that unpacks a hundred archives of its own."""

    def __init__(self, module: str, output_bytes: int, cuts: int = 0) -> None:
        super().__init__(module, output_bytes)
        self.runs, self.cuts = 0, cuts

    async def run(self, data: bytes, argument: str) -> str:
        self.runs += 1
        if self.runs <= self.cuts:
            raise CutShort("it takes longer than 30 s")
        return json.dumps(sources_in(data))


async def looked(bus: MortalBus, left: int, before: bool) -> bool:
    """One life; False when it was cut short."""
    bus.left, bus.before, bus.writes = left, before, 0
    results = results_on(bus)
    results.unpacker = Unconfined("", 0)
    try:
        await results.look()
    except Killed:
        return False
    return True


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_process_killed_at_any_write_leaves_everything_as_if_it_had_lived(
    bus: Bus, client: Any, before: bool
) -> None:
    mortal = await MortalBus.connect(client.bus.settings)
    point, deaths = 0, 0
    while point == deaths:
        point += 1
        old, new = f"{2 * point:032x}", f"{2 * point + 1:032x}"
        project = NewProject(name=f"shop{point}")
        await client.finish(old, {"old.py": "x = 1\n"}, project)
        assert await looked(mortal, 0, before)
        await client.finish(new, FILES, project)
        deaths += not await looked(mortal, point, before)
        assert await looked(mortal, 0, before)
        await finish_deletions(client)
        rows = [
            row for row in (await wanted(client)).values() if row.origin and row.origin.project == f"new:shop{point}"
        ]
        assert sorted(row.path for row in rows) == sorted(
            f"tasks/{new}/{name}" for name in ("spec.md", "report.md", *(f"branch/{f}" for f in FILES))
        )
        await finish_deletions(client)
        assert await looked(mortal, 0, before)
        assert mortal.writes == 0  # what is done is not touched again
    await mortal.close()
    assert deaths >= 16  # a row, a text in two parts for each of four documents; three rows that go; the mark
