"""Build: a blueprint becomes one commit in a real worktree, always the same one."""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from worksite.builder.testing import TASK, Desk, Origin, a_spec, build_command, run_git
from worksite.common import blueprints
from worksite.common.errors import ArtifactMissing, StepRefused
from worksite.common.messages import Changeset

pytestmark = pytest.mark.asyncio
BRANCH = f"worksite/{TASK}"
REAL_BLUEPRINTS = Path(__file__).parents[3] / "blueprints"


async def _built(desk: Desk, **options: object) -> Changeset:
    return await desk.build(await desk.build_command(await desk.import_new(), **options))


async def test_a_build_commits_the_rendered_blueprint_on_top_of_the_base(desk: Desk, tmp_path: Path) -> None:
    made = await _built(desk)

    assert (made.branch, made.engine, made.files_changed) == (BRANCH, "blueprint:greeting@1.2.0", 5)
    clone = await desk.unbundle(made.bundle, tmp_path / "clone")
    assert run_git(clone, "rev-parse", "HEAD", "HEAD^") == f"{made.head_sha}\n{made.base_sha}"
    assert run_git(clone, "branch", "--show-current") == BRANCH
    assert "def greeting" in (clone / "src" / "hello" / "main.py").read_text()


async def test_the_commit_says_who_made_it_when_and_from_what(desk: Desk, tmp_path: Path) -> None:
    command = await desk.build_command(await desk.import_new())
    made = await desk.build(command)

    clone = await desk.unbundle(made.bundle, tmp_path / "clone")
    assert run_git(clone, "log", "-1", "--format=%an <%ae> %cI%n%B") == (
        "Worksite <worksite@localhost> 2025-09-01T12:00:00+00:00\n"
        "Greeting service\n\nMade by blueprint:greeting@1.2.0.\n\n"
        f"Worksite-Task: {TASK}\nWorksite-Spec: {command.spec.sha256}"
    )


async def test_the_archive_holds_exactly_the_tree_at_head_files_that_it_ignores_included(
    desk: Desk, tmp_path: Path
) -> None:
    made = await _built(desk)

    archive = zipfile.ZipFile(io.BytesIO(await desk.artifacts.get(made.archive)))
    assert archive.read("defaults.local") == b"NAME=world\n"
    clone = await desk.unbundle(made.bundle, tmp_path / "clone")
    assert archive.namelist() == sorted(run_git(clone, "ls-files").splitlines())
    assert all(archive.read(name) == (clone / name).read_bytes() for name in archive.namelist())


async def test_the_patch_makes_the_same_files_of_the_base(desk: Desk, tmp_path: Path) -> None:
    (desk.blueprints_dir / "greeting" / "template" / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (desk.blueprints_dir / "greeting" / "template" / "data.bin").write_bytes(bytes(range(256)))
    (desk.blueprints_dir / "greeting" / "template" / "odd name ü.txt").write_bytes(b"no newline at the end")
    made = await _built(desk)

    clone = await desk.unbundle(made.bundle, tmp_path / "clone")
    run_git(clone, "switch", "--quiet", "--detach", made.base_sha)
    patch = tmp_path / "branch.patch"
    assert made.patch
    patch.write_bytes(await desk.artifacts.get(made.patch))
    run_git(clone, "am", "--quiet", "--keep-cr", str(patch))

    assert run_git(clone, "rev-parse", "HEAD^{tree}") == run_git(clone, "rev-parse", f"{made.head_sha}^{{tree}}")
    assert run_git(clone, "log", "-1", "--format=%an %s") == "Worksite Greeting service"
    assert b"+def greeting" in patch.read_bytes()  # to be read by people, too


async def test_a_patch_that_is_too_large_is_left_out(desk: Desk) -> None:
    """What does not shrink takes more room in a patch than in the files."""
    noise = bytes(random.Random(1).randrange(256) for _ in range(60_000))
    (desk.blueprints_dir / "greeting" / "template" / "noise.bin").write_bytes(noise)
    desk.options["max_repository_bytes"] = 62_000

    assert (await _built(desk)).patch is None


async def test_a_replay_in_another_place_and_a_later_round_make_the_same_changeset(desk: Desk, tmp_path: Path) -> None:
    project = await desk.import_new()
    first = await desk.build(await desk.build_command(project))

    desk.state_dir = tmp_path / "elsewhere" / "deeper"
    replayed = await desk.build(await desk.build_command(project))
    again = await desk.build(await desk.build_command(project, step="5-build", round=2, previous=first))

    assert first == replayed == again
    assert any("same commit again" in line for line in desk.progress)


async def test_builds_that_run_at_the_same_time_do_not_meet(desk: Desk) -> None:
    project = await desk.import_new()
    commands = [
        await desk.build_command(project, task=task * 32, parameters={"package": package})
        for task, package in (("1", "one"), ("2", "two"))
    ]

    together = await asyncio.gather(*(desk.build(command) for command in commands))
    alone = await desk.build(commands[0])

    assert together[0] == alone
    assert together[0].head_sha != together[1].head_sha
    assert together[0].archive != together[1].archive


async def test_a_failed_build_is_kept_until_its_retry_replaces_it(desk: Desk) -> None:
    command = await desk.build_command(await desk.import_new())
    lost = command.model_copy(update={"spec": command.spec.model_copy(update={"sha256": "0" * 64})})

    with pytest.raises(ArtifactMissing):
        await desk.build(lost)
    (kept,) = desk.leftovers()
    await desk.build(command)

    assert kept.name.startswith(f"{TASK}-3-build-")
    assert desk.leftovers() == []


async def test_a_spec_without_a_blueprint_is_refused(desk: Desk) -> None:
    spec = await desk.artifacts.put_message(a_spec(None))

    with pytest.raises(StepRefused) as refused:
        await desk.build(build_command(spec, await desk.import_new()))

    assert refused.value.code == "no_engine"


async def test_a_project_with_files_is_never_overwritten(desk: Desk, origin: Origin) -> None:
    origin.commit(README__md="mine")

    with pytest.raises(StepRefused) as refused:
        await desk.build(await desk.build_command(await desk.import_git(origin.url)))

    assert refused.value.code == "project_not_empty"


async def test_a_blueprint_that_changed_since_the_design_is_refused(desk: Desk) -> None:
    command = await desk.build_command(await desk.import_new())
    (desk.blueprints_dir / "greeting" / "template" / "extra.txt").write_text("added since")

    with pytest.raises(StepRefused) as refused:
        await desk.build(command)

    assert refused.value.code == "blueprint_changed"


async def test_a_blueprint_that_is_not_there_is_refused(desk: Desk) -> None:
    command = await desk.build_command(await desk.import_new())
    shutil.rmtree(desk.blueprints_dir / "greeting")

    with pytest.raises(StepRefused) as refused:
        await desk.build(command)

    assert refused.value.code == "blueprint_missing"


async def test_files_outside_the_digest_are_not_rendered(desk: Desk) -> None:
    """Else equal digests would render different projects."""
    untouched = await _built(desk)
    cache = desk.blueprints_dir / "greeting" / "template" / "__pycache__"
    cache.mkdir()
    (cache / "main.pyc").write_bytes(b"compiled")
    (desk.blueprints_dir / "greeting" / "template" / "README.md.jinja").chmod(0o755)

    assert await _built(desk) == untouched


@pytest.mark.parametrize("parameters", [{"package": "Not A Name"}, {"package": "../up"}, {"other": "x"}])
async def test_a_parameter_that_does_not_fit_the_manifest_is_refused(desk: Desk, parameters: dict[str, str]) -> None:
    with pytest.raises(StepRefused) as refused:
        await _built(desk, parameters=parameters)

    assert refused.value.code == "bad_parameter"


async def test_a_parameter_that_the_template_refuses_is_told_in_its_words(desk: Desk) -> None:
    with pytest.raises(StepRefused, match="This name is taken") as refused:
        await _built(desk, parameters={"package": "forbidden"})

    assert refused.value.code == "blueprint_broken"


@pytest.mark.parametrize(
    "line", ["_tasks: ['touch owned']", "_jinja_extensions: [os.path]"], ids=["tasks", "extensions"]
)
async def test_a_blueprint_that_would_run_code_is_refused(desk: Desk, line: str) -> None:
    with (desk.blueprints_dir / "greeting" / "copier.yml").open("a") as copier:
        copier.write(f"\n{line}\n")

    with pytest.raises(StepRefused, match="unsafe") as refused:
        await _built(desk)

    assert refused.value.code == "blueprint_broken"


async def test_a_template_with_a_fault_is_refused_naming_it(desk: Desk) -> None:
    (desk.blueprints_dir / "greeting" / "template" / "broken.txt.jinja").write_text("{{ nothing( }}")

    with pytest.raises(StepRefused, match="TemplateSyntaxError") as refused:
        await _built(desk)

    assert refused.value.code == "blueprint_broken"


async def test_a_blueprint_that_renders_nothing_makes_no_empty_commit(desk: Desk) -> None:
    template = desk.blueprints_dir / "greeting" / "template"
    shutil.rmtree(template)
    template.mkdir()
    (template / "{% if false %}never{% endif %}").write_text("")

    with pytest.raises(StepRefused) as refused:
        await _built(desk)

    assert refused.value.code == "nothing_made"


async def test_a_template_cannot_write_over_the_worktrees_own_git_file(desk: Desk) -> None:
    (desk.blueprints_dir / "greeting" / "template" / '{{ ".git" }}').write_text("gitdir: /elsewhere")

    with pytest.raises(StepRefused):
        await _built(desk)


async def test_a_base_that_the_bundle_does_not_hold_is_refused(desk: Desk) -> None:
    project = (await desk.import_new()).model_copy(update={"base_sha": "1" * 40})

    with pytest.raises(StepRefused) as refused:
        await desk.build(await desk.build_command(project))

    assert refused.value.code == "unknown_base"


@pytest.mark.parametrize("name", sorted(blueprints.catalogue(REAL_BLUEPRINTS)))
async def test_each_shipped_blueprint_is_built_twice_to_the_same_commit(desk: Desk, name: str) -> None:
    desk.blueprints_dir = REAL_BLUEPRINTS
    spec = await desk.artifacts.put_message(a_spec(desk.choice({}, name)))
    project = await desk.import_new()

    first = await desk.build(build_command(spec, project))
    second = await desk.build(build_command(spec, project))

    assert first == second
    assert first.files_changed > 5
