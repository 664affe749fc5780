"""What a model can do at the workbench."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import Field
from worksite.builder.workbench import Workbench
from worksite.common.llm.agents import AgentTool
from worksite.common.messages import Model

Search = Callable[[str], Awaitable[str]]
RunChecks = Callable[[], Awaitable[str]]


class ListFiles(Model):
    folder: str = Field(default="", description="empty: all")


class SearchFiles(Model):
    text: str = Field(min_length=1, description="as it stands in the line; no pattern")


class ReadFile(Model):
    path: str
    first_line: int = Field(default=1, ge=1)


class WriteFile(Model):
    path: str
    content: str


class EditFile(Model):
    path: str
    old: str = Field(min_length=1, description="a text that stands in the file exactly once")
    new: str


class DeleteFile(Model):
    path: str


class Check(Model):
    """Nothing to say."""


class SearchKnowledge(Model):
    query: str = Field(min_length=1)


def tools(bench: Workbench, search_knowledge: Search, run_checks: RunChecks) -> list[AgentTool]:
    """In the order in which the model is told of them, which must not change within a task: it is a cached prefix."""

    async def listed(given: ListFiles) -> str:
        return await asyncio.to_thread(bench.listed, given.folder)

    async def found(given: SearchFiles) -> str:
        return await asyncio.to_thread(bench.found, given.text)

    async def read(given: ReadFile) -> str:
        return await asyncio.to_thread(bench.read, given.path, given.first_line)

    async def write(given: WriteFile) -> str:
        return await asyncio.to_thread(bench.write, given.path, given.content)

    async def edit(given: EditFile) -> str:
        return await asyncio.to_thread(bench.edit, given.path, given.old, given.new)

    async def delete(given: DeleteFile) -> str:
        return await asyncio.to_thread(bench.delete, given.path)

    async def check(_: Check) -> str:
        return await bench.faults() or "every changed file is well-formed"

    async def tried(_: Check) -> str:
        return await run_checks()

    async def search(given: SearchKnowledge) -> str:
        return await search_knowledge(given.query)

    return [
        AgentTool("list_files", "List the files below a folder.", ListFiles, listed),
        AgentTool("search_files", "Find the lines that hold a text.", SearchFiles, found),
        AgentTool("read_file", "Read a file, from a line on.", ReadFile, read),
        AgentTool("write_file", "Write a whole file, new or in place of the old one.", WriteFile, write, edits=True),
        AgentTool("edit_file", "Replace a text in a file.", EditFile, edit, edits=True),
        AgentTool("delete_file", "Remove a file.", DeleteFile, delete, edits=True),
        AgentTool("check_syntax", "Parse the changed Python, JSON and TOML files; nothing runs.", Check, check),
        AgentTool("run_checks", "Run the project's own tests and the linter on the files as they are.", Check, tried),
        AgentTool("search_knowledge", "Search the team's documents and code.", SearchKnowledge, search),
    ]
