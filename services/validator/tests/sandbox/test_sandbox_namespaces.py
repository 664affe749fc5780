"""The bubblewrap command line."""

from __future__ import annotations

from pathlib import Path

from worksite.validator.sandbox.namespaces import bubblewrap


def test_parents_are_mounted_before_what_lies_below_them(tmp_path: Path) -> None:
    environment, workspace = tmp_path / "run" / "environment", tmp_path / "run"
    environment.mkdir(parents=True)
    command = bubblewrap("bwrap", readable=[environment], writable=[workspace])
    assert command.index(str(workspace)) < command.index(str(environment))


def test_a_link_is_mounted_under_its_own_name(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    command = bubblewrap("bwrap", readable=[link], writable=[])
    assert command[command.index("--ro-bind") :][:3] == ("--ro-bind", str(real), str(link))


def test_what_is_readable_and_writable_is_mounted_once_to_be_written(tmp_path: Path) -> None:
    command = bubblewrap("bwrap", readable=[tmp_path], writable=[tmp_path])
    assert [command[place - 1] for place, word in enumerate(command) if word == str(tmp_path)][:1] == ["--bind"]
    assert "--ro-bind" not in command


def test_the_command_ends_where_the_launcher_begins() -> None:
    assert bubblewrap("bwrap", [], [])[-1] == "--"
