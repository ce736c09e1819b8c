"""The torch datasets of the example trainer."""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.schema import SHARD
from curation.export.shards import RowBatches
from examples.gazex.data import KeyFrameDataset, KeyFrameOrder, ReadingStream, ResumableLoader
from examples.gazex.data.loader import Resumable
from examples.gazex.data.shards import FOLDERS, Form, NewerShardError, ShardError

DOCS = Path(__file__).resolve().parents[3] / "docs"
N = 53
FORMS: tuple[Form, ...] = ("hdf5", "parquet")
Source = Callable[..., Resumable]


def row(number: int) -> dict[str, Any]:
    """Return a reading with one key frame; sentences of different readings share their ids."""
    picture = {"bytes": f"picture {number}".encode(), "path": "k.png"}
    frames = [
        {"sentence_id": f"s{number % 5}", "box": [1.0, 2.0, 3.0, float(number)], "picture": picture},
        {"sentence_id": None, "box": None, "picture": None},
    ]
    said = [{"sentence_id": f"s{number % 5}", "text": f"sentence {number}"}]
    own = {"reading_id": f"r{number}", "images": [], "keyframes": frames, "sentences": said}
    return dict.fromkeys(SHARD.names) | own


def write(folder: Path, stem: str, rows: list[dict[str, Any]], form: Form, row_group_rows: int = 4) -> None:
    """Write rows as one shard."""
    (folder / FOLDERS[form]).mkdir(exist_ok=True)
    path = folder / FOLDERS[form] / stem
    writer = (
        Hdf5ShardWriter(path.with_suffix(".h5"))
        if form == "hdf5"
        else ParquetShardWriter(
            path.with_suffix(".parquet"), row_group_bytes=1 << 20, row_group_rows=row_group_rows
        )
    )
    with RowBatches(writer) as batches:
        for one in rows:
            batches.add(one)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for shard in range(3):
        for form in FORMS:
            write(folder, f"train-{shard:05d}-of-00003", [row(number) for number in range(shard, N, 3)], form)
    return folder


@pytest.fixture(params=["stream", *FORMS])
def source(request: pytest.FixtureRequest, dataset: Path) -> Source:
    """What makes a source of all records of the dataset, one for each reading."""
    if request.param == "stream":
        return lambda **options: ReadingStream(dataset, columns=["reading_id"], buffer_rows=9, **options)
    frames = KeyFrameDataset(dataset, form=request.param)
    return lambda **options: KeyFrameOrder(frames, **options)


def loader(source: Resumable, n_workers: int) -> ResumableLoader:
    return ResumableLoader(source, batch_size=3, num_workers=n_workers, collate_fn=as_it_is)


def ids(rows: Any) -> list[str]:
    return [r["reading_id"] for r in rows]


def flat(batches: Any) -> list[str]:
    return [i for batch in batches for i in ids(batch)]


def as_it_is(batch: Any) -> Any:
    return batch


@pytest.mark.parametrize("form", FORMS)
def test_every_key_frame_with_a_picture(dataset: Path, form: Form) -> None:
    frames = KeyFrameDataset(dataset, "train", form=form)
    assert len(frames) == N
    for place in range(N):
        item = frames[place]
        number = item["reading_id"][1:]
        assert item["text"] == f"sentence {number}"
        assert item["picture"] == f"picture {number}".encode()
        assert item["box"].tolist() == [1.0, 2.0, 3.0, float(number)]
    assert len({frames[i]["reading_id"] for i in range(N)}) == N
    for place in (-1, N):
        with pytest.raises(IndexError):
            frames[place]


@pytest.mark.parametrize(("form", "row_group_rows"), [("hdf5", 1), ("parquet", 1), ("parquet", 99)])
def test_key_frames_over_many_chunks_and_pages(tmp_path: Path, form: Form, row_group_rows: int) -> None:
    """Lengths around the chunks of HDF5 (2**18) and the pages of Parquet (1 MiB), and rows that have less than all."""
    some = random.Random(0)
    given = [some.randbytes(n) for n in (1, 700_000, 262_144, 262_143, 3, 900_000, 1_200_000, 5)]
    rows = []
    for number, picture in enumerate(given):
        shown = {"picture": {"bytes": picture, "path": "k.png"}}
        one = row(number)
        one["keyframes"] = [{**frame, **shown} for frame in one["keyframes"]][: 1 + number % 2]
        rows += [one, row(number) | {"keyframes": None, "sentences": None}, row(number) | {"keyframes": []}]
    write(tmp_path, "train-00000-of-00001", rows, form, row_group_rows)
    frames = pickle.loads(pickle.dumps(KeyFrameDataset(tmp_path, form=form)))  # noqa: S301  as a worker process gets it
    items = [frames[i] for i in range(len(frames))]
    assert [item["picture"] for item in items if item["sentence_id"]] == given
    rest = [item for item in items if not item["sentence_id"]]
    assert [item["picture"] for item in rest] == given[1::2]
    assert all(item["text"] is None and all(map(math.isnan, item["box"])) for item in rest)


def test_compressed_pictures_are_refused(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "readings").mkdir()
    table = pq.read_table(next((dataset / "readings").iterdir()))
    for options, message in ({"compression": "zstd"}, "compressed"), ({"use_dictionary": True}, "compressed"):
        pq.write_table(table, tmp_path / "readings" / "train-0.parquet", **{"compression": "none"} | options)
        with pytest.raises(ShardError, match=message):
            KeyFrameDataset(tmp_path)
    plain: dict[str, Any] = {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"}
    pq.write_table(table, tmp_path / "readings" / "train-0.parquet", **plain)
    with pytest.raises(ShardError, match="of a kind"):
        KeyFrameDataset(tmp_path)


@pytest.mark.parametrize(("world_size", "n_workers"), [(1, 0), (3, 0), (2, 2)])
def test_every_record_once_over_ranks_and_workers(source: Source, world_size: int, n_workers: int) -> None:
    seen: Counter[str] = Counter()
    for rank in range(world_size):
        seen.update(flat(loader(source(rank=rank, world_size=world_size), n_workers)))
    assert seen == Counter({f"r{n}": 1 for n in range(N)})


def test_order_is_seeded_and_changes_with_the_epoch(source: Source) -> None:
    def order(seed: int, epoch: int, *, shuffle: bool = True) -> list[str]:
        given = loader(source(seed=seed, shuffle=shuffle), 0)
        given.set_epoch(epoch)
        return flat(given)

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(1, 0)), tuple(order(2, 0)), tuple(order(1, 1))}) == 3
    in_order = [f"r{n}" for shard in range(3) for n in range(shard, N, 3)]
    assert order(1, 0, shuffle=False) == in_order


def test_both_formats_give_key_frames_in_one_order(dataset: Path) -> None:
    one, other = (loader(KeyFrameOrder(KeyFrameDataset(dataset, form=form)), 0) for form in FORMS)
    assert flat(one) == flat(other)


@pytest.mark.parametrize(("n_workers", "stops"), [(0, (0, 1, 8, 18)), (2, (5, 15))])
def test_resume_goes_on_exactly(source: Source, n_workers: int, stops: tuple[int, ...]) -> None:
    whole = [ids(batch) for batch in loader(source(seed=4), n_workers)]
    for stop in stops:
        first = loader(source(seed=4), n_workers)
        batches = iter(first)
        begun = [ids(next(batches)) for _ in range(stop)]
        del batches
        second = loader(source(seed=4), n_workers)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert begun + [ids(batch) for batch in second] == whole
        second.set_epoch(1)
        assert Counter(flat(second)) == Counter(f"r{n}" for n in range(N))


@pytest.mark.parametrize("changed", ["seed", "shuffle", "world_size", "batch_size", "n_workers", "n_records"])
def test_a_state_of_another_order_is_refused(source: Source, changed: str) -> None:
    state = loader(source(), 0).state_dict()
    with pytest.raises(ValueError, match=changed):
        loader(source(), 0).load_state_dict({**state, changed: 5})


KILLED = """
import json, sys
from pathlib import Path
from examples.gazex.data import KeyFrameDataset, KeyFrameOrder, ReadingStream, ResumableLoader

def ids(batch):
    return [row["reading_id"] for row in batch]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    share = {"seed": 4, "rank": 1, "world_size": 2}
    sources = [
        ReadingStream(folder, columns=["reading_id"], buffer_rows=9, **share),
        *(KeyFrameOrder(KeyFrameDataset(folder, form=form), **share) for form in ("hdf5", "parquet")),
    ]
    loaders = [ResumableLoader(one, batch_size=3, num_workers=2, collate_fn=ids) for one in sources]
    for batches in zip(*loaders):
        print(json.dumps([batches, [one.state_dict() for one in loaders]]), flush=True)
        sys.stdin.readline()
"""


def test_a_killed_rank_goes_on_exactly(dataset: Path) -> None:
    """A trainer with two workers is killed after its fourth batch; each source goes on where its state was."""
    share: dict[str, Any] = {"seed": 4, "rank": 1, "world_size": 2}
    sources: list[Resumable] = [
        ReadingStream(dataset, columns=["reading_id"], buffer_rows=9, **share),
        *(KeyFrameOrder(KeyFrameDataset(dataset, form=form), **share) for form in FORMS),
    ]
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(dataset)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin
    assert process.stdout
    told = []
    for _ in range(4):
        told.append(json.loads(process.stdout.readline()))
        process.stdin.write("\n")
        process.stdin.flush()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for place, one in enumerate(sources):
        whole = [ids(batch) for batch in loader(one, 2)]
        assert len(whole) > len(told)
        rest = loader(one, 2)
        rest.load_state_dict(told[-1][1][place])
        assert [batches[place] for batches, _ in told] + [ids(batch) for batch in rest] == whole


def test_a_stream_resumes_by_itself(dataset: Path) -> None:
    stream = ReadingStream(dataset, columns=["reading_id"], buffer_rows=9)
    rows = iter(stream)
    begun = [next(rows)["reading_id"] for _ in range(20)]
    other = ReadingStream(dataset, columns=["reading_id"], buffer_rows=9)
    other.load_state_dict(stream.state_dict())
    assert begun + ids(other) == ids(ReadingStream(dataset, columns=["reading_id"], buffer_rows=9))


def test_a_newer_major_version_is_refused(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "readings").mkdir()
    table = pq.read_table(next((dataset / "readings").iterdir())).replace_schema_metadata(
        {"schema_version": "2.0"}
    )
    pq.write_table(table, tmp_path / "readings" / "train-0.parquet")
    for opened in (ReadingStream, KeyFrameDataset):
        with pytest.raises(NewerShardError, match=r"format 2\.0"):
            opened(tmp_path)


@pytest.mark.filterwarnings(
    "ignore:This DataLoader will create"
)  # more workers than this machine has processors
def test_the_lines_of_the_documentation_run(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset.parent / "DATASET").symlink_to(dataset)
    monkeypatch.chdir(dataset.parent)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "loading.md").read_text(encoding="utf-8"), re.DOTALL)
    # A batch of each of four workers at least; 53 key frames in batches of eight.
    for block, n_batches in zip(blocks, (4, 7), strict=True):
        known: dict[str, Any] = {}
        exec(compile(block, "docs/loading.md", "exec"), known)  # noqa: S102  the lines are the project's own
        assert known["state"]["n_batches"] >= n_batches
