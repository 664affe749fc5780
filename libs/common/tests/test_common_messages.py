"""The message models: closed when produced, open when consumed, compatible with everything released."""

import copy
import json
import sys
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError
from worksite.common import messages, schemas
from worksite.common.compatibility import incompatibilities
from worksite.common.messages import BY_CE_TYPE, SubmitTask
from worksite.common.messages.base import json_bytes
from worksite.common.testing import examples

SCHEMAS = Path(__file__).parents[1] / "schemas"
GOLDEN = sorted((SCHEMAS / "golden").glob("*/*.json"))
RELEASED = sorted((SCHEMAS / "released").glob("*/*.json"))


def by_file(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_an_unknown_field_is_refused_when_producing():
    with pytest.raises(ValidationError, match="surprise"):
        examples.submit_task(surprise=1)


def test_an_unknown_field_is_ignored_when_consuming():
    body = json.loads(examples.submit_task().to_json()) | {"surprise": 1}
    body["options"]["newer"] = True
    assert SubmitTask.consume(json.dumps(body)) == examples.submit_task()


def test_a_message_cannot_be_changed():
    with pytest.raises(ValidationError):
        examples.submit_task().task = "x"  # pyright: ignore


@pytest.mark.parametrize("tenant", ["", "Acme", "a.b", "a*", "a>", "x" * 33, "ä"])
def test_a_tenant_that_is_not_one_safe_subject_token_is_refused(tenant):
    with pytest.raises(ValidationError):
        examples.submit_task(tenant=tenant)


def test_a_request_over_the_byte_limit_is_refused_with_its_size():
    with pytest.raises(ValidationError, match="12004 bytes"):
        examples.submit_task(request="ä" * 6002)


def test_the_byte_limit_of_a_request_counts_what_json_makes_of_it():
    assert examples.submit_task(request='"' * 6000).request == '"' * 6000
    with pytest.raises(ValidationError, match="12002 bytes"):
        examples.submit_task(request='"' * 6001)


@pytest.mark.parametrize("character", ["\0", "\x01", "\x1b", "\x7f", "\x85"])
def test_control_characters_are_refused_in_what_people_write(character):
    for write in (
        lambda text: examples.submit_task(request=text),
        lambda text: criterion(statement=text),
        lambda text: criterion(test=text),
        lambda text: messages.CancelRequested(task=examples.TASK, tenant="acme", principal="ada", reason=text),
        lambda text: messages.InputGiven(task=examples.TASK, tenant="acme", principal="ada", text=text),
    ):
        write("line\n\tline\r\n😀")
        with pytest.raises(ValidationError, match="control characters"):
            write(f"a{character}b")


def test_criteria_that_would_crowd_a_message_are_refused_with_their_size():
    crowd = tuple(criterion(id=f"c{number}", statement="😀" * 500) for number in range(20))
    messages.TaskOptions(criteria=crowd[:2])
    with pytest.raises(ValidationError, match="bytes as JSON"):
        messages.TaskOptions(criteria=crowd)


def test_a_criterions_test_is_a_name_not_a_text():
    with pytest.raises(ValidationError, match="200 characters"):
        criterion(test="t" * 201)


def criterion(**changes):
    return messages.Criterion.model_validate({"id": "x", "statement": "s", "grade": "self_reported"} | changes)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "--upload-pack=x",
        "/etc",
        "https://a b",
        "ssh://a/b",
        "https:///a",
        "https://a/b\\c",
        "https://ä/b",
    ],
)
def test_a_git_url_of_another_form_is_refused(url):
    with pytest.raises(ValidationError):
        messages.GitProject(git_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://bob:hunter2@a/b",
        "https://hunter2@a/b",
        "https://@a/b",
        "file://hunter2@a/b",
        "https://a/b?token=hunter2",
    ],
)
def test_a_git_url_with_a_secret_in_it_is_refused(url):
    with pytest.raises(ValidationError):
        messages.GitProject(git_url=url)


def test_how_long_a_git_url_is_does_not_decide_how_long_its_refusal_takes():
    """A body of a megabyte is taken in before its fields are measured; looking at it again and again takes an hour."""
    with pytest.raises(ValidationError):
        messages.GitProject(git_url="@" * (1 << 20))


@pytest.mark.parametrize("url", ["https://a/b", "http://[::1]:80/b.git", "https://a/~b/@c/d%20e", "file:///srv/a.git"])
def test_a_plain_git_url_is_taken(url):
    assert messages.GitProject(git_url=url).git_url == url


@pytest.mark.parametrize("name", ["a..b", "a.lock", "a.lock/b", "a.", "a/.b", "a//b", "a/"])
def test_a_name_that_git_refuses_for_a_ref_is_refused(name):
    for use in (
        lambda: messages.GitProject(git_url="https://a/b", ref=name),
        lambda: messages.TaskOptions(base=name),
        lambda: messages.NewProject(name=name),
    ):
        with pytest.raises(ValidationError):
            use()


@pytest.mark.parametrize("name", ["main", "v1.0", "feature/a.b_c-1", "a.locked", "0" * 40])
def test_a_name_that_git_takes_for_a_ref_is_taken(name):
    assert messages.GitProject(git_url="https://a/b", ref=name).ref == name
    assert messages.TaskOptions(base=name).base == name


@pytest.mark.parametrize("message", examples.all_messages(), ids=lambda m: m.tag())
def test_every_message_survives_the_wire(message):
    assert BY_CE_TYPE[message.ce_type()].consume(message.to_json()) == message


def test_there_is_an_example_of_every_message():
    assert {m.tag() for m in examples.all_messages()} == {m.tag() for m in messages.MESSAGES}


@pytest.mark.parametrize("character", ["x", '"', "\n", "ä", "😀"])
def test_the_fullest_task_fits_into_one_message(character):
    """Everything that a client chooses at its longest, in the row of the read model while the task is designed."""
    limits = messages.tasks
    wide = json_bytes(character) - 2
    request = "x" + character * ((limits.MAX_REQUEST_BYTES - 2) // wide) + "x"
    one = criterion(id="a" * 80, statement=character * 100, test="t" * 100)
    criteria = (one,) * min(20, (limits.MAX_CRITERIA_BYTES - 2) // (json_bytes(one) + 1))
    project = messages.GitProject(git_url="https://" + "x" * 992, ref="r" * 200)
    given = {
        "principal": character * 256,
        "request": request,
        "project": project,
        "options": messages.TaskOptions(base="b" * 200, criteria=criteria),
    }
    submitted = examples.submit_task(**given)
    design = examples.commands()[1].model_copy(update={"request": request, "criteria": criteria})
    state = examples.task_state().model_copy(update=given | {"commands": (design,)})
    entry = messages.TaskEntry(state=state, submitted=submitted, sequence=2**63)
    assert 48 * 1024 < len(entry.to_json()) < 62 * 1024


def test_the_checked_in_schemas_are_current():
    assert schemas.stale(SCHEMAS / "v1") == []


def test_a_stale_schema_is_noticed(tmp_path):
    for name, text in schemas.documents().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "spec.json").write_text("{}")
    (tmp_path / "gone.json").write_text("{}")
    (tmp_path / "report.json").unlink()
    assert schemas.stale(tmp_path) == ["gone.json", "report.json", "spec.json"]


@pytest.mark.parametrize("path", GOLDEN, ids=by_file)
def test_a_golden_message_of_a_released_version_still_parses(path):
    model = BY_CE_TYPE[f"worksite.v1.{path.stem}"]
    model.consume(path.read_text())


@pytest.mark.parametrize("path", RELEASED, ids=by_file)
def test_todays_schema_is_compatible_with_the_released_one_in_both_directions(path):
    today = json.loads(schemas.documents()[path.name])
    assert incompatibilities(json.loads(path.read_text()), today) == []


KNOWN_TO_RELEASED = [m for m in examples.all_messages() if (SCHEMAS / "released/0.1.0" / f"{m.tag()}.json").exists()]
"""The rest is handed back by a released consumer, as an unknown type."""


@pytest.mark.parametrize("message", KNOWN_TO_RELEASED, ids=lambda m: m.tag())
def test_what_we_send_today_satisfies_a_released_consumers_schema(message):
    schema = json.loads((SCHEMAS / "released" / "0.1.0" / f"{message.tag()}.json").read_text())
    jsonschema.validate(json.loads(message.to_json()), opened(schema))


def opened(schema):
    """The schema as a consumer applies it: unknown fields are ignored."""
    if isinstance(schema, dict):
        return {k: opened(v) for k, v in schema.items() if not (k == "additionalProperties" and v is False)}
    return [opened(s) for s in schema] if isinstance(schema, list) else schema


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"enum": ["x", "y"]}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s["properties"].pop("a") and s["required"].remove("a"), "no longer there"),
        (lambda s: s["required"].append("b"), "newly required"),
        (lambda s: s["required"].clear(), "no longer required"),
        (lambda s: s["properties"].update(a={"type": "integer"}), "type string became integer"),
        (lambda s: s["properties"]["b"].update(enum=["x"]), "value y is gone"),
        (lambda s: s["properties"]["b"].update(enum=["x", "y", "z"]), "value z is new"),
        (lambda s: s["properties"]["a"].update(pattern="^a$"), "pattern changed"),
    ],
)
def test_an_incompatible_change_is_named(change, says):
    changed = copy.deepcopy(OBJECT)
    change(changed)
    assert any(says in line for line in incompatibilities(OBJECT, changed))


def test_a_new_optional_field_is_compatible():
    changed = copy.deepcopy(OBJECT)
    changed["properties"]["c"] = {"type": "string"}
    assert incompatibilities(OBJECT, changed) == []


def test_a_new_variant_of_a_union_is_incompatible_with_old_consumers():
    old = {"anyOf": [{"type": "string"}]}
    assert "null is new" in incompatibilities(old, {"anyOf": [{"type": "string"}, {"type": "null"}]})[0]


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a//b", "a/./b", "a\\b", "", "a\x00b", "x" * 401])
def test_a_path_that_is_not_relative_and_plain_names_no_document(path):
    with pytest.raises(ValidationError):
        messages.DocumentText(tenant="acme", path=path, text="")


def test_a_document_keeps_its_id_when_it_is_sent_again():
    assert (
        messages.document_id("notes/a.md") == messages.document_id("notes/a.md") != messages.document_id("notes/b.md")
    )


def test_writing_schemas_twice_changes_nothing_and_check_names_what_is_stale(tmp_path, monkeypatch, capsys):
    def run(*options):
        monkeypatch.setattr(sys, "argv", ["schemas", str(tmp_path / "v1"), *options])
        schemas.main()

    run()
    (tmp_path / "v1" / "gone.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"gone\.json"):
        run("--check")
    run()
    with pytest.raises(SystemExit) as clean:
        run("--check")
    assert clean.value.code == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("1 changed")
