"""Trees that a candidate made on purpose to be hard to remove or to own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from worksite.validator.sandbox.locks import new_directory
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


def test_a_directory_of_a_service_with_our_process_id_that_was_killed_is_removed_and_one_in_use_is_not(
    tmp_path: Path,
) -> None:
    """A container that starts again gives its service the same process id."""
    others = {"runtime", "launcher", "environments-of-mine"}
    for name in (f"workspace-{os.getpid()}-ab_c", f"scratch-{os.getpid()}-x", *others):
        (tmp_path / name).mkdir()
    with new_directory(tmp_path, f"workspace-{os.getpid()}-") as in_use:
        remove_leftovers(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == others | {in_use.name}


HOLD = """
import pathlib, sys, time
from worksite.validator.sandbox.locks import new_directory

with new_directory(pathlib.Path(sys.argv[1]), "workspace-1-") as directory:
    (directory / "file").touch()
    directory.chmod(0)
    print(flush=True)
    time.sleep(600)
"""


def test_a_workspace_is_in_use_until_its_service_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as service:
        try:
            assert service.stdout
            service.stdout.readline()
            remove_leftovers(tmp_path)
            assert len(list(tmp_path.iterdir())) == 1
        finally:
            service.kill()

    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


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
