"""Lock files: which one counts, and that nothing but pins is read from it."""

from __future__ import annotations

import json

import pytest
from worksite.validator.domain.locks import find_lock, is_lock_input
from worksite.validator.domain.pins import LockUnusable, Pin

H = "sha256:" + "a" * 64
PYLOCK = f"""
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "alpha"
version = "1.0"
[[packages.wheels]]
url = "https://example.org/alpha-1.0-py3-none-any.whl"
hashes = {{sha256 = "{"a" * 64}"}}
[[packages]]
name = "only-on-windows"
version = "2.0"
marker = "sys_platform == 'win32'"
[[packages.wheels]]
url = "https://example.org/only_on_windows-2.0-py3-none-any.whl"
hashes = {{sha256 = "{"b" * 64}"}}
"""
UV = f"""
version = 1
[[package]]
name = "project"
version = "0.1.0"
source = {{ editable = "." }}
dependencies = [{{ name = "alpha", extra = ["fast"] }}, {{ name = "windows", marker = "sys_platform == 'win32'" }}]
[package.dev-dependencies]
dev = [{{ name = "pytest" }}]
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://example.org/simple" }}
dependencies = [{{ name = "beta" }}]
wheels = [{{ url = "https://example.org/a.whl", hash = "{H}" }}]
[package.optional-dependencies]
fast = [{{ name = "gamma" }}]
[[package]]
name = "beta"
version = "2.0"
source = {{ registry = "https://example.org/simple" }}
dependencies = [{{ name = "alpha" }}]
wheels = [{{ url = "https://example.org/b.whl", hash = "{H}" }}]
[[package]]
name = "gamma"
version = "3.0"
source = {{ registry = "https://example.org/simple" }}
wheels = [{{ url = "https://example.org/g.whl", hash = "{H}" }}]
[[package]]
name = "pytest"
version = "9.0"
source = {{ registry = "https://example.org/simple" }}
wheels = [{{ url = "https://example.org/p.whl", hash = "{H}" }}]
[[package]]
name = "windows"
version = "1.0"
source = {{ registry = "https://example.org/simple" }}
wheels = [{{ url = "https://example.org/w.whl", hash = "{H}" }}]
"""


def names(files: dict[str, str]) -> list[str]:
    lock = find_lock(files)
    assert lock is not None
    return sorted(f"{pin.name}=={pin.version}" for pin in lock.pins)


def test_pylock_comes_first_and_markers_decide() -> None:
    lock = find_lock({"pylock.toml": PYLOCK, "uv.lock": UV, "requirements.txt": "z==1"})

    assert lock is not None
    assert (lock.name, lock.pins, lock.hashed) == ("pylock.toml", (Pin("alpha", "1.0", (H,)),), True)


def test_a_uv_lock_is_followed_from_the_project_with_extras_and_groups() -> None:
    assert names({"uv.lock": UV, "requirements.txt": "z==1"}) == [
        "alpha==1.0",
        "beta==2.0",
        "gamma==3.0",
        "pytest==9.0",
    ]


def test_requirements_with_hashes_win_over_pinned_ones() -> None:
    files = {"requirements.txt": "loose>=1\n", "requirements.lock": f"alpha==1.0 \\\n    --hash={H}\n"}

    lock = find_lock(files)

    assert lock is not None
    assert (lock.name, lock.requirements()) == ("requirements.lock", f"alpha==1.0 --hash={H}\n")


def test_pinned_requirements_are_joined() -> None:
    files = {
        "requirements.txt": "Alpha[x]==1.0 # why\n",
        "requirements-dev.txt": "beta == 2.0 ; python_version > '3'\n",
    }

    assert names(files) == ["alpha==1.0", "beta==2.0"]


def test_a_project_that_needs_nothing_has_no_lock() -> None:
    assert find_lock({}) is None
    assert find_lock({"pyproject.toml": "[project]\nname = 'x'\n", "requirements.txt": "# nothing\n"}) is None


def test_dependencies_without_a_lock_cannot_be_installed() -> None:
    with pytest.raises(LockUnusable, match=r"fastapi.*no lock file"):
        find_lock({"pyproject.toml": "[project]\ndependencies = ['fastapi']\n"})


@pytest.mark.parametrize(
    "line",
    [
        "alpha",
        "alpha>=1",
        "alpha==1.*",
        "alpha==1,>0.5",
        "alpha @ https://example.org/alpha.whl",
        "git+https://example.org/alpha.git",
        "-r /etc/passwd",
        "--index-url https://evil.example/simple",
        "--extra-index-url https://evil.example/simple",
        "-e .",
        "./alpha.whl",
        "alpha==1.0 --config-settings=x=y",
    ],
)
def test_only_pins_are_read_from_requirements(line: str) -> None:
    with pytest.raises(LockUnusable, match=r"requirements\.txt"):
        find_lock({"requirements.txt": f"{line}\n"})


@pytest.mark.parametrize("name", ["pylock.toml", "uv.lock"])
def test_a_lock_that_is_not_one_is_an_error_with_its_name(name: str) -> None:
    with pytest.raises(LockUnusable, match=name):
        find_lock({name: "[[package]]\n= nonsense"})


def test_source_distributions_are_never_installed() -> None:
    with pytest.raises(LockUnusable, match="'alpha' has no wheels"):
        find_lock({"uv.lock": UV.replace('wheels = [{ url = "https://example.org/a.whl"', 'sdist = [{ url = "x"')})


def test_lock_inputs_are_known_by_name() -> None:
    assert is_lock_input("requirements-dev.txt")
    assert not is_lock_input("docs/requirements.txt")
    assert not is_lock_input("README.md")


INJECTED = [
    "\n-r /etc/shadow",
    "\nfile:///tmp/evil.tar.gz",
    "\r--index-url=https://evil.example",
    "\u2028-e .",
    " --config-settings=x=y",
    " @ file:///tmp/evil.whl",
    "/../evil",
    "\x00",
    "${HOME}",
]


@pytest.mark.parametrize("tail", INJECTED)
@pytest.mark.parametrize("part", [("name", "alpha"), ("version", "1.0"), ("hash", H)])
def test_nothing_can_follow_a_pin_in_a_uv_lock(part: tuple[str, str], tail: str) -> None:
    key, value = part
    toml = json.dumps(value + tail)
    lock = UV.replace('dependencies = [{ name = "alpha", extra = ["fast"] }', f"dependencies = [{{ name = {toml} }}")
    lock = lock if key == "name" else UV
    lock = lock.replace(f'{key} = "{value}"', f"{key} = {toml}")

    with pytest.raises(LockUnusable, match=r"\Auv\.lock: [ -~]*\Z"):
        find_lock({"uv.lock": lock})


@pytest.mark.parametrize("tail", INJECTED)
@pytest.mark.parametrize(("key", "value"), [("\nname", "alpha"), ("\nversion", "1.0"), ("sha256", "a" * 64)])
def test_nothing_can_follow_a_pin_in_a_pylock(key: str, value: str, tail: str) -> None:
    lock = PYLOCK.replace(f'{key} = "{value}"', f"{key} = {json.dumps(value + tail)}")

    with pytest.raises(LockUnusable, match=r"\Apylock\.toml: [ -~]*\Z"):
        find_lock({"pylock.toml": lock})


@pytest.mark.parametrize("tail", INJECTED)
@pytest.mark.parametrize("head", ["alpha==1.0", "alpha===1.0", "alpha", f"alpha==1.0 --hash={H}"])
def test_nothing_can_follow_a_pin_in_requirements(head: str, tail: str) -> None:
    with pytest.raises(LockUnusable, match=r"\Arequirements\.txt: [ -~]*\Z"):
        find_lock({"requirements.txt": head + tail})


@pytest.mark.parametrize("name", ["", "-r", "a b", "a\nb", "../a", "a.", "\u212ba", "${A}"])
def test_a_pin_has_the_name_of_a_distribution(name: str) -> None:
    with pytest.raises(LockUnusable):
        Pin(name, "1.0")


@pytest.mark.parametrize("version", ["", "*", "1.0\n2", "1.0 -r x", "file:///x", "1" * 5000, "1.0+\u017f"])
def test_a_pin_has_a_version(version: str) -> None:
    with pytest.raises(LockUnusable):
        Pin("alpha", version)


@pytest.mark.parametrize("hash_", ["", f"{H}\n", f"{H}a", H.upper(), f"md5:{'a' * 32}", "sha256:" + "\u0660" * 64])
def test_a_pin_has_sha_2_hashes(hash_: str) -> None:
    with pytest.raises(LockUnusable):
        Pin("alpha", "1.0", (H, hash_))


def test_a_pin_is_written_anew_in_its_normal_form() -> None:
    assert Pin("Al_pha", " 1.0-RC1\n", (H,)).line() == f"al-pha==1.0rc1 --hash={H}"


DEEP = "a = " + "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pylock.toml", DEEP),
        ("uv.lock", DEEP),
        ("uv.lock", "package = 1"),
        ("uv.lock", "package = [1]"),
        ("uv.lock", UV.replace('name = "beta" }', 'name = ["beta"] }')),
        ("uv.lock", UV.replace("sys_platform == 'win32'", "os_name ~= 'x'")),
        ("uv.lock", UV.replace("sys_platform == 'win32'", "(" * 5000)),
        ("uv.lock", UV.replace("sys_platform == 'win32'", "\\n")),
        ("pylock.toml", PYLOCK.replace("sys_platform == 'win32'", "os_name ~= 'x'")),
        ("requirements.txt", "alpha==1.0; os_name ~= 'x'"),
        ("requirements.txt", "alpha==1.0; " + "(" * 5000 + "os_name == 'x'" + ")" * 5000),
    ],
)
def test_a_lock_made_to_break_its_reader_is_unusable(name: str, text: str) -> None:
    with pytest.raises(LockUnusable, match=rf"\A{name}: [ -~]*\Z"):
        find_lock({name: text})


def test_a_project_file_nested_without_end_needs_nothing() -> None:
    assert find_lock({"pyproject.toml": DEEP}) is None


def test_a_pylock_without_strong_hashes_is_not_installed() -> None:
    with pytest.raises(LockUnusable, match="no wheels with hashes"):
        find_lock({"pylock.toml": PYLOCK.replace("sha256 =", "md5 =")})
