"""worksite rag backup and restore: on the state of this machine, while no stack runs on it."""

import asyncio
import os

from typer.testing import CliRunner
from worksite.cli.main import app
from worksite.cli.stack.state import State
from worksite.rag.domain.identity import Fingerprint, Manifest
from worksite.rag.stores.edge_indexes import EdgeIndexes


def rag(command, archive, state):
    return CliRunner().invoke(app, ["rag", command, str(archive), "--state", str(state)])


async def an_index(state):
    indexes = EdgeIndexes(state / "rag" / "worksite")
    manifest = Manifest(Fingerprint("model", "tokenizer", "chunker", "bm25"), "/model", complete=True)
    store = await indexes.open(manifest)
    await store.close()
    await indexes.note(manifest)
    await indexes.aclose()


def test_what_was_backed_up_is_restored_on_another_state(tmp_path, capfd):
    State(tmp_path / "here").prepare()
    asyncio.run(an_index(tmp_path / "here"))
    archive = tmp_path / "rag.backup"
    assert rag("backup", archive, tmp_path / "here").exit_code == 0
    assert rag("restore", archive, tmp_path / "there").exit_code == 0
    assert capfd.readouterr().out.splitlines() == [f"0 chunks in {archive}", f"0 chunks from {archive}"]
    os.close(State(tmp_path / "there").lock())  # it is a state that a stack can be started on
    assert list((tmp_path / "there" / "rag" / "worksite").glob("*.json"))


def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capfd):
    assert rag("backup", tmp_path / "rag.backup", tmp_path / "state").exit_code == 1
    assert rag("restore", tmp_path / "rag.backup", tmp_path / "state").exit_code == 1
    missing, unknown = capfd.readouterr().err.splitlines()
    assert "there is no index in" in missing
    assert "rag.backup does not exist" in unknown


def test_refuses_while_a_stack_runs(tmp_path):
    descriptor = State(tmp_path / "state").lock()
    try:
        for command in ("backup", "restore"):
            result = rag(command, tmp_path / "rag.backup", tmp_path / "state")
            assert result.exit_code == 1
            assert "a stack is already running" in result.stderr
            assert "stop the stack" in result.stderr
            assert "doctor" not in result.stderr
    finally:
        os.close(descriptor)
