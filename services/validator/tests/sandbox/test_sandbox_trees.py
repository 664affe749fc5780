"""Trees that a candidate made on purpose to be hard to remove or to own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from worksite.validator.sandbox.trees import entries, give_tree, remove_leftovers, remove_tree


def dig(tree: Path, depth: int) -> None:
    """Nest directories far deeper than a path can say."""
    here = os.open(tree, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_a_tree_deeper_than_any_path_and_any_recursion_is_removed() -> None:
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # removing directories from a disk takes long
    tree = Path(tempfile.mkdtemp(dir=in_memory))
    dig(tree, 1100)
    remove_tree(tree)
    assert not tree.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_tree_deeper_than_any_path_is_given_away() -> None:
    tree = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    dig(tree, 1100)
    (tree / "beside").mkdir()
    (tree / "beside" / "file").touch()
    give_tree(tree, 12345)
    owners = [os.stat(name, dir_fd=directory).st_uid for directory, name in entries(tree)]
    remove_tree(tree)
    assert owners == [12345] * (1100 + 2)


def test_unreadable_directories_are_removed(tmp_path: Path) -> None:
    closed = tmp_path / "tree" / "closed" / "inner"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    for directory in (closed, closed.parent, tmp_path / "tree"):
        directory.chmod(0)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_removal_keeps_to_the_tree(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "file").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside, target_is_directory=True)
    (tree / "moved-0").mkdir()
    (tree / "a" / "moved-0").mkdir(parents=True)
    remove_tree(tree)
    assert (outside / "file").exists()


def test_only_what_ended_services_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    kept = {f"workspace-{os.getpid()}-ab_c", "runtime", "launcher", "environments-of-mine"}
    for name in (f"workspace-{ended.pid}-ab_c", f"scratch-{ended.pid}-x", *kept):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_tree_is_given_away_but_not_what_its_links_point_to(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "directory").mkdir(parents=True)
    outside.touch()
    (tree / "directory" / "file").touch()
    (tree / "link").symlink_to(outside)
    give_tree(tree, 12345)
    given = [tree, tree / "directory", tree / "directory" / "file", tree / "link"]
    assert {path.lstat().st_uid for path in given} == {12345}
    assert outside.stat().st_uid == 0
