"""What the sandbox user must be able to reach: a root directory, an interpreter, the launcher."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_LEFT_OUT = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "site-packages", "config-*")


def system_paths() -> tuple[Path, ...]:
    """Programs and libraries of the machine, as far as they exist."""
    return tuple(path for path in map(Path, _SYSTEM) if path.exists())


def reachable(path: Path, uid: int) -> bool:
    """Whether `uid`, a stranger to all groups, may go down to `path` and read it."""
    chain = [path.resolve(), *path.resolve().parents]
    if uid == os.getuid():
        return all(os.access(part, os.X_OK) for part in chain[1:]) and os.access(path, os.R_OK)
    modes = [part.stat().st_mode for part in chain]
    return bool(modes[0] & stat.S_IROTH) and all(mode & stat.S_IXOTH for mode in modes[1:])


def sandbox_root(chosen: Path | None, state_dir: Path, uid: int) -> Path:
    """The directory for workspaces, environments and the interpreter, created if need be."""
    if chosen is None:
        state_dir.mkdir(parents=True, exist_ok=True)
        entrance = [state_dir.resolve(), *state_dir.resolve().parents]
        within_reach = uid == os.getuid() or all(part.stat().st_mode & stat.S_IXOTH for part in entrance)
        chosen = state_dir if within_reach else Path(f"/var/tmp/worksite-sandbox-{os.getuid()}")  # noqa: S108
    chosen.mkdir(parents=True, exist_ok=True, mode=0o711)
    owner = chosen.lstat().st_uid  # of a link itself: /var/tmp is open to all
    if owner != os.getuid():
        raise PermissionError(f"{chosen} belongs to user {owner}, not to the service; set another sandbox root")
    return chosen.resolve()


def install_launcher(root: Path) -> Path:
    """Put `jail.py` where the sandbox user can read it."""
    source = Path(__file__).with_name("jail.py").read_bytes()
    target = root / "launcher" / f"jail-{hashlib.sha256(source).hexdigest()[:16]}.py"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o755)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as draft:
            draft.write(source)
        Path(draft.name).chmod(0o644)
        Path(draft.name).replace(target)
    return target


def sandbox_python(root: Path, uid: int) -> tuple[Path, Path]:
    """An interpreter that `uid` can run, and the prefix it needs: this one in place, or a copy below `root`."""
    prefix = Path(sys.base_prefix).resolve()
    binary = prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if reachable(binary, uid) and reachable(Path(os.__file__), uid):
        return binary, prefix
    copy = root / "runtime" / _fingerprint(binary)
    if not copy.exists():
        _copy_runtime(prefix, binary, copy)
    return copy / "bin" / binary.name, copy


def _fingerprint(binary: Path) -> str:
    status = binary.stat()
    identity = f"{binary} {sys.version} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _copy_runtime(prefix: Path, binary: Path, target: Path) -> None:
    """Interpreter, standard library and shared libpython; without tests, desktop parts and installed packages."""
    target.parent.mkdir(exist_ok=True)
    target.parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(dir=target.parent))
    draft.chmod(0o755)
    library = Path(os.__file__).parent
    shutil.copytree(
        library,
        draft / "lib" / library.name,
        ignore=shutil.ignore_patterns(*_LEFT_OUT),
        copy_function=_link_or_copy,
    )
    for shared in (prefix / "lib").glob("libpython*.so*"):
        _link_or_copy(str(shared), str(draft / "lib" / shared.name))
    (draft / "bin").mkdir()
    program = _relocated(binary.read_bytes(), prefix)
    (draft / "bin" / binary.name).write_bytes(program)
    (draft / "bin" / binary.name).chmod(0o755)
    try:
        draft.rename(target)
    except OSError:  # another service was faster
        shutil.rmtree(draft)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _relocated(program: bytes, prefix: Path) -> bytes:
    """Let the dynamic loader look for libpython beside the copy: the search path in the binary is replaced in place."""
    search_path = os.fsencode(prefix / "lib") + b"\0"
    return program.replace(search_path, b"$ORIGIN/../lib".ljust(len(search_path), b"\0"))
