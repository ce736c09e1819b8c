"""The journal after cuts, flipped bits, killed writers and a full disk: real files, real processes."""

from __future__ import annotations

import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from gazecapture.session.journal import JournalWriter, read_journal
from tests.waiting import only_unfinished

SCHEMA = pa.schema(
    [pa.field("n", pa.int64(), nullable=False), pa.field("x", pa.float64()), ("w", pa.string())]
)
N_BATCHES, BATCH = 12, 5
N_ROWS = N_BATCHES * BATCH


def rows(start: int, stop: int) -> list[dict[str, object]]:
    return [{"n": n, "x": n / 7, "w": f"word {n}"} for n in range(start, stop)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    with JournalWriter(folder, SCHEMA) as journal:
        for n in range(N_BATCHES):
            journal.append_rows(rows(n * BATCH, (n + 1) * BATCH))
    return folder


def records(folder: Path) -> list[tuple[int, int, int]]:
    return list(struct.iter_unpack("<QQI", (folder / "00000.crc").read_bytes()))


def copy_with(folder: Path, target: Path, *, data: bytes | None = None, crc: bytes | None = None) -> Path:
    target.mkdir(exist_ok=True)
    (target / "00000.arrows").write_bytes((folder / "00000.arrows").read_bytes() if data is None else data)
    (target / "00000.crc").write_bytes((folder / "00000.crc").read_bytes() if crc is None else crc)
    return target


def test_a_cut_at_any_offset_leaves_every_whole_batch_before_it(sound: Path, tmp_path: Path) -> None:
    data = (sound / "00000.arrows").read_bytes()
    ends = [offset + length for offset, length, _ in records(sound)]
    for cut in range(0, len(data), 7):
        content = read_journal(copy_with(sound, tmp_path / "cut", data=data[:cut]), schema=SCHEMA)
        n_whole = sum(end <= cut for end in ends[1:])
        assert content.table.to_pylist() == rows(0, n_whole * BATCH), cut
        assert content.n_unverified == 0
        assert content.damage or cut >= ends[-1], cut


def test_a_cut_sidecar_loses_nothing_but_proof(sound: Path, tmp_path: Path) -> None:
    crc = (sound / "00000.crc").read_bytes()
    for cut in range(0, len(crc), 3):
        content = read_journal(copy_with(sound, tmp_path / "cut", crc=crc[:cut]), schema=SCHEMA)
        n_proved = max(cut // 20 - 1, 0)
        assert content.table.to_pylist() == rows(0, N_ROWS), cut
        assert content.n_unverified == N_ROWS - n_proved * BATCH, cut
        assert content.damage == ()


def test_without_sidecar_everything_is_read_as_unverified(sound: Path, tmp_path: Path) -> None:
    folder = copy_with(sound, tmp_path / "bare")
    (folder / "00000.crc").unlink()
    content = read_journal(folder)
    assert (content.table.num_rows, content.n_unverified, content.damage) == (N_ROWS, N_ROWS, ())


def test_garbage_after_the_last_record_is_reported_not_read(sound: Path, tmp_path: Path) -> None:
    data = (sound / "00000.arrows").read_bytes()[:-8]
    for tail in (b"\xff", b"\xff\xff\xff\xff\x10", bytes(64), random.Random(1).randbytes(200)):
        content = read_journal(copy_with(sound, tmp_path / "tail", data=data + tail))
        assert content.table.to_pylist() == rows(0, N_ROWS)
        assert len(content.damage) == 1
        assert "unfinished" in content.damage[0]


def test_every_flipped_bit_that_matters_is_reported_and_costs_one_batch(sound: Path, tmp_path: Path) -> None:
    data = (sound / "00000.arrows").read_bytes()
    crc = (sound / "00000.crc").read_bytes()
    ends = [offset + length for offset, length, _ in records(sound)]
    whole = rows(0, N_ROWS)
    dice = random.Random(20240501)
    flips = [("data", dice.randrange(len(data) * 8)) for _ in range(500)]
    flips += [("crc", dice.randrange(len(crc) * 8)) for _ in range(150)]
    for where, bit in flips:
        damaged = bytearray(data if where == "data" else crc)
        damaged[bit // 8] ^= 1 << bit % 8
        if where == "data":
            content = read_journal(copy_with(sound, tmp_path / "f", data=bytes(damaged)), schema=SCHEMA)
            hit = sum(end <= bit // 8 for end in ends) - 1
        else:
            content = read_journal(copy_with(sound, tmp_path / "f", crc=bytes(damaged)), schema=SCHEMA)
            hit = bit // 8 // 20 - 1
        found = content.table.to_pylist()
        if found == whole and (where == "data" and bit // 8 >= ends[-1]):
            continue  # the mark at the very end, which holds nothing
        assert content.damage, (where, bit)
        lost = [] if hit < 0 else rows(hit * BATCH, (hit + 1) * BATCH)
        assert found == [row for row in whole if row not in lost], (where, bit)


WRITER = """
import sys, pyarrow as pa
from pathlib import Path
from gazecapture.session.journal import JournalWriter
journal = JournalWriter(Path(sys.argv[1]), pa.schema([pa.field("n", pa.int64(), nullable=False)]), segment_s=0.05)
n = 0
while True:
    journal.append_rows([{"n": n + i} for i in range(4)])
    n += 4
    sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
"""


def test_kill_9_loses_nothing_that_append_returned_from(tmp_path: Path) -> None:
    acknowledged = 0
    for run in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline()]
            end = time.monotonic() + 0.02 + 0.05 * run
            while time.monotonic() < end:
                lines.append(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            lines += writer.stdout.readlines()
        acknowledged += int([line for line in lines if line.endswith(b"\n")][-1])
        content = read_journal(tmp_path)
        assert only_unfinished(content.damage)
        starts = [n for n, value in enumerate(content.table["n"].to_pylist()) if value == 0]
        assert len(starts) == run + 1, (
            "the next process goes on in a new segment, the lock of the dead is no hindrance"
        )
        assert acknowledged <= content.table.num_rows <= acknowledged + 4 * (run + 1)


FULL = """
import resource, signal, sys, pyarrow as pa
from pathlib import Path
from gazecapture.session.journal import JournalWriter
from keyframes.errors import DiskFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = JournalWriter(Path(sys.argv[1]), pa.schema([pa.field("n", pa.int64(), nullable=False)]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
n = 0
try:
    while n < 10_000:
        journal.append_rows([{"n": n + i} for i in range(10)])
        n += 10
except DiskFullError as error:
    assert "may not grow" in str(error), error
else:
    sys.exit("the limit was never met")
try:
    journal.append_rows([{"n": -1}] * 500)
except DiskFullError:
    pass
else:
    sys.exit("still no room, yet it was written")
print(n)
if sys.argv[2] == "room":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append_rows([{"n": n}])
journal.close()
"""


@pytest.mark.parametrize("then", ["room", "none"])
def test_a_full_disk_keeps_what_was_written_and_goes_on_when_there_is_room(tmp_path: Path, then: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), then], capture_output=True, text=True, check=True
    )
    n = int(done.stdout)
    content = read_journal(tmp_path)
    assert content.damage == ()
    assert content.n_unverified == 0
    assert content.table["n"].to_pylist() == list(range(n + (then == "room")))
