"""Writing a snapshot's file leaves alone what is around it: devices, pipes, links, modes, the files of others."""

from __future__ import annotations

import errno
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from harness import clean_environment

import heapsight
from heapsight import Snapshot, TakeSnapshot

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture
def snapshot() -> Snapshot:
    """Return a snapshot with a few blocks."""
    heapsight.enable()
    kept = [bytes(1000) for _ in range(10)]
    taken = Snapshot.create(with_traces=True, user_data_callback=lambda: len(kept))
    heapsight.disable()
    return taken


def is_whole(file: Any, snapshot: Snapshot) -> bool:
    loaded = Snapshot.load(file)
    return loaded.stats == snapshot.stats and loaded.traces == snapshot.traces and loaded.user_data == 10


def test_a_device_is_written_to_and_stays_a_device(snapshot: Snapshot) -> None:
    before = Path("/dev/null").stat()
    snapshot.write("/dev/null")
    after = Path("/dev/null").stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    with pytest.raises(OSError, match="No space left") as raised:
        snapshot.write("/dev/full")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, "/dev/full")


def test_a_pipe_gets_all_of_it_and_stays_a_pipe(snapshot: Snapshot, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    snapshot.write(pipe)
    reader.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "copy").write_bytes(got[0])
    assert is_whole(tmp_path / "copy", snapshot)


@pytest.mark.parametrize("at", ["end", "peak", 1])
def test_a_pipe_can_be_loaded(at: Any, snapshot: Snapshot, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=snapshot.write, args=(pipe,))
    writer.start()
    loaded = Snapshot.load(pipe, at=at)
    writer.join()
    assert loaded.pid == snapshot.pid
    with pytest.raises(ValueError, match="/dev/zero: not a heapsight capture"):
        Snapshot.load("/dev/zero")


def test_a_link_stays_and_leads_to_the_snapshot(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("made")
    snapshot.write(tmp_path / "link")
    snapshot.write(tmp_path / "dangling")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    assert is_whole(tmp_path / "real", snapshot)
    assert is_whole(tmp_path / "made", snapshot)


def test_a_name_of_a_file_with_several_is_one_of_several_still(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("before" * 100_000)
    os.link(tmp_path / "one", tmp_path / "other")
    snapshot.write(tmp_path / "one")
    assert is_whole(tmp_path / "other", snapshot)


def test_mode_is_kept_and_that_of_a_new_file_obeys_the_umask(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o600)
    snapshot.write(tmp_path / "secret")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    before = os.umask(0o027)
    try:
        snapshot.write(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_is_kept(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 1234, 5678)
    snapshot.write(tmp_path / "file")
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_gid) == (1234, 5678)
    assert is_whole(tmp_path / "file", snapshot)


AS_NOBODY = """
import os, sys
import heapsight
heapsight.enable()
snapshot = heapsight.Snapshot.create()
os.setgid(65534); os.setuid(65534)
for name in sys.argv[1:]:
    try:
        snapshot.write(name)
        print("written")
    except OSError as error:
        print(type(error).__name__, error.filename == name)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_permissions_of_file_and_folder_are_respected() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)  # not below pytest's own folder, which nobody else can enter
        root.chmod(0o755)
        locked, free = root / "locked", root / "free"
        for folder, mode in ((locked, 0o755), (free, 0o777)):
            folder.mkdir()
            folder.chmod(mode)
            for file, its_mode in (("ours", 0o666), ("not ours", 0o644)):
                (folder / file).touch()
                (folder / file).chmod(its_mode)
        names = [str(folder / file) for folder in (locked, free) for file in ("ours", "not ours", "new")]
        command = [sys.executable, "-c", AS_NOBODY, *names]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60)
        refused = "PermissionError True"
        assert done.stdout.splitlines() == ["written", refused, refused, "written", refused, "written"], done.stderr
        assert sorted(file.name for file in locked.iterdir()) == ["not ours", "ours"]
        assert sorted(file.name for file in free.iterdir()) == ["new", "not ours", "ours"]
        assert Snapshot.load(locked / "ours").incomplete is None
        assert (free / "ours").stat().st_uid == 0, "it was not given to somebody else"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("missing/file", FileNotFoundError),
        ("file/below", NotADirectoryError),
        ("folder", IsADirectoryError),
        ("x" * 256, OSError),
        ("", FileNotFoundError),
        ("loop", OSError),
    ],
)
def test_an_error_has_number_and_name(name: str, kind: type[OSError], snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    path = str(tmp_path / name) if name else ""
    with pytest.raises(kind) as raised:
        snapshot.write(path)
    assert raised.value.filename == path
    assert raised.value.errno is not None
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder", "loop"]
    with pytest.raises(OSError, match=r"\[Errno") as raised:
        Snapshot.load(path)
    assert raised.value.filename == path


def test_a_name_with_a_null_byte_is_pythons_own_error(snapshot: Snapshot) -> None:
    for use in (snapshot.write, Snapshot.load):
        with pytest.raises(ValueError, match="null"):
            use("a\0b")


@pytest.mark.parametrize("length", [200, 250, 255])
def test_the_longest_names_are_written_twice(length: int, snapshot: Snapshot, tmp_path: Path) -> None:
    for _ in range(2):
        snapshot.write(tmp_path / ("x" * length))
    assert is_whole(tmp_path / ("x" * length), snapshot)
    assert len(list(tmp_path.iterdir())) == 1


class AsPath:
    """A path of somebody else's making."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


def test_names_may_be_texts_bytes_or_paths(snapshot: Snapshot, tmp_path: Path) -> None:
    plain = str(tmp_path / "file")
    odd = os.fsencode(tmp_path) + b"/\xff\xe9"
    for name in (plain, os.fsencode(plain), pathlib.PurePath(plain), AsPath(plain), AsPath(os.fsencode(plain)), odd):
        snapshot.write(name)
        assert is_whole(name, snapshot)
    with pytest.raises(FileNotFoundError) as raised:
        Snapshot.load(os.fsencode(tmp_path) + b"/\xfe")
    assert os.fsencode(raised.value.filename).endswith(b"/\xfe")
    wrong: Any
    for wrong in (5, None, AsPath(5)):
        for use in (snapshot.write, Snapshot.load):
            with pytest.raises(TypeError):
                use(wrong)


def test_many_threads_write_one_file_and_it_is_whole(snapshot: Snapshot, tmp_path: Path) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def write() -> None:
        start.wait()
        try:
            for _ in range(10):
                snapshot.write(tmp_path / "file")
                assert is_whole(tmp_path / "file", snapshot)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


WAITS_FOR_THE_OTHER = """
import os, signal, sys, threading
import heapsight
heapsight.enable()
snapshot = heapsight.Snapshot.create()
main = f"/proc/self/task/{os.getpid()}/syscall"
def interrupt():
    # Until the main thread sleeps in openat(), which has these numbers on x86-64 and aarch64.
    while open(main).read().split()[0] not in ("257", "56"):
        pass
    os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=interrupt)
try:
    thread.start()
    ACTION(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(not os.access("/proc/self/syscall", os.R_OK), reason="the kernel does not say where a thread waits")
@pytest.mark.parametrize("action", ["snapshot.write", "heapsight.Snapshot.load"])
def test_ctrl_c_ends_the_wait_for_the_other_end_of_a_pipe(action: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = subprocess.run(
        [sys.executable, "-c", WAITS_FOR_THE_OTHER.replace("ACTION", action), str(tmp_path / "pipe")],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def take_to(template: Any) -> TakeSnapshot:
    heapsight.enable()
    take = TakeSnapshot()
    take.filename_template = template
    return take


def test_threads_get_names_of_their_own(tmp_path: Path) -> None:
    take = take_to(str(tmp_path / "$pid-$counter"))
    names: list[str] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        names.extend(take.take_snapshot()[1] for _ in range(5))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [str(tmp_path / f"{os.getpid()}-{number:04}") for number in range(1, 41)]
    assert sorted(names) == expected
    assert sorted(map(str, tmp_path.iterdir())) == expected
    assert all(Snapshot.load(name).incomplete is None for name in names)


def test_files_of_another_run_are_not_replaced_but_counted_over(tmp_path: Path) -> None:
    for taken in ("a-0001", "a-0002", "a-0004"):
        (tmp_path / taken).write_text("precious")
    (tmp_path / "a-0005").symlink_to("nowhere")
    take = take_to(tmp_path / "a-$counter")
    names = [Path(take.take_snapshot()[1]).name for _ in range(3)]
    assert names == ["a-0003", "a-0006", "a-0007"]
    assert (tmp_path / "a-0001").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_fixed_name_is_the_latest_snapshot_of_this_run_only(tmp_path: Path) -> None:
    take = take_to(str(tmp_path / "latest"))
    first, name = take.take_snapshot()
    second, again = take.take_snapshot()
    assert name == again == str(tmp_path / "latest")
    assert Snapshot.load(name).timestamp == second.timestamp > first.timestamp
    other = take_to(str(tmp_path / "latest"))
    with pytest.raises(FileExistsError, match=r"\$counter or \$pid") as raised:
        other.take_snapshot()
    assert raised.value.filename == name
    assert Snapshot.load(name).timestamp == second.timestamp
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            take.take_snapshot()
        except FileExistsError:
            status = 7
        finally:
            os._exit(status)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 7, "a child is another run"


def test_two_snapshots_of_one_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    take = take_to(tmp_path / "$timestamp")
    names = []
    for _ in range(50):
        try:
            names.append(take.take_snapshot()[1])
        except FileExistsError:
            break
    else:
        pytest.fail("fifty snapshots in different seconds")
    assert len(set(names)) == len(names) == len(list(tmp_path.iterdir()))


def test_a_template_may_be_a_device_bytes_or_very_long(tmp_path: Path) -> None:
    device = take_to("/dev/null")
    assert device.take_snapshot()[1] == device.take_snapshot()[1] == "/dev/null"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    name = take_to(os.fsencode(tmp_path) + b"/\xff$counter").take_snapshot()[1]
    assert os.fsencode(name) == os.fsencode(tmp_path) + b"/\xff0001"
    long = take_to(tmp_path / ("x" * 246 + "$counter")).take_snapshot()[1]
    assert Snapshot.load(long).incomplete is None
