"""The torch datasets of the example trainer."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.schema import SHARD
from examples.gazex.data import KeyFrameDataset, ReadingStream, ResumableLoader
from examples.gazex.data.shards import NewerShardError

N = 53


def row(number: int) -> dict[str, Any]:
    picture = {"bytes": f"picture {number}".encode(), "path": "k.png"}
    frames = [
        {"sentence_id": f"s{number}", "box": [1.0, 2.0, 3.0, float(number)], "picture": picture},
        {"sentence_id": None, "box": None, "picture": None},
    ]
    said = [{"sentence_id": f"s{number}", "text": f"sentence {number}"}]
    own = {"reading_id": f"r{number}", "images": [], "keyframes": frames, "sentences": said}
    return dict.fromkeys(SHARD.names) | own


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for name in ("readings", "hdf5"):
        (folder / name).mkdir()
    for shard in range(3):
        stem = f"train-{shard:05d}-of-00003"
        writers = (
            ParquetShardWriter(
                folder / "readings" / f"{stem}.parquet", row_group_bytes=1 << 20, row_group_rows=4
            ),
            Hdf5ShardWriter(folder / "hdf5" / f"{stem}.h5"),
        )
        for writer in writers:
            for number in range(shard, N, 3):
                writer.add(row(number))
            writer.close()
    return folder


def ids(rows: Any) -> list[str]:
    return [r["reading_id"] for r in rows]


def flat(batches: Any) -> list[str]:
    return [i for batch in batches for i in ids(batch)]


def as_it_is(batch: Any) -> Any:
    return batch


def test_every_key_frame_with_a_picture(dataset: Path) -> None:
    frames = KeyFrameDataset(dataset, "train")
    assert len(frames) == N
    for place in (0, 17, 18, N - 1):
        item = frames[place]
        number = item["reading_id"][1:]
        assert item["text"] == f"sentence {number}"
        assert item["picture"] == f"picture {number}".encode()
        assert item["box"].tolist() == [1.0, 2.0, 3.0, float(number)]
    assert len({frames[i]["reading_id"] for i in range(N)}) == N


def test_a_key_frame_over_many_chunks(tmp_path: Path) -> None:
    given = [random.Random(n).randbytes(length) for n, length in enumerate((1, 700_000, 262_144, 3, 900_000))]
    (tmp_path / "hdf5").mkdir()
    writer = Hdf5ShardWriter(tmp_path / "hdf5" / "train-00000-of-00001.h5")
    for number, picture in enumerate(given):
        one = row(number)
        one["keyframes"][0]["picture"] = {"bytes": picture, "path": "k.png"}
        writer.add(one)
    writer.close()
    frames = pickle.loads(pickle.dumps(KeyFrameDataset(tmp_path)))  # noqa: S301  as a worker process gets it
    assert [frames[i]["picture"] for i in range(len(frames))] == given


@pytest.mark.parametrize(("world_size", "n_workers"), [(1, 0), (3, 0), (2, 2)])
def test_every_row_once_over_ranks_and_workers(dataset: Path, world_size: int, n_workers: int) -> None:
    seen: Counter[str] = Counter()
    for rank in range(world_size):
        stream = ReadingStream(
            dataset, columns=["reading_id"], buffer_rows=7, rank=rank, world_size=world_size
        )
        loader = ResumableLoader(stream, batch_size=3, num_workers=n_workers, collate_fn=as_it_is)
        seen.update(flat(loader))
    assert seen == Counter({f"r{n}": 1 for n in range(N)})


def test_order_is_seeded_and_changes_with_the_epoch(dataset: Path) -> None:
    def order(seed: int, epoch: int, *, shuffle: bool = True) -> list[str]:
        stream = ReadingStream(dataset, columns=["reading_id"], seed=seed, shuffle=shuffle, buffer_rows=9)
        stream.set_epoch(epoch)
        return ids(stream)

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(1, 0)), tuple(order(2, 0)), tuple(order(1, 1))}) == 3
    in_order = [f"r{n}" for shard in range(3) for n in range(shard, N, 3)]
    assert order(1, 0, shuffle=False) == in_order


@pytest.mark.parametrize(("n_workers", "stops"), [(0, (0, 1, 8, 18)), (2, (5, 15))])
def test_resume_goes_on_exactly(dataset: Path, n_workers: int, stops: tuple[int, ...]) -> None:
    def loader() -> ResumableLoader:
        stream = ReadingStream(dataset, columns=["reading_id"], seed=4, buffer_rows=9)
        return ResumableLoader(stream, batch_size=3, num_workers=n_workers, collate_fn=as_it_is)

    whole = [ids(batch) for batch in loader()]
    for stop in stops:
        first = loader()
        batches = iter(first)
        begun = [ids(next(batches)) for _ in range(stop)]
        del batches
        second = loader()
        second.load_state_dict(first.state_dict())
        assert begun + [ids(batch) for batch in second] == whole
    with pytest.raises(ValueError, match="batch_size"):
        second.load_state_dict(first.state_dict() | {"batch_size": 5})


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
    with pytest.raises(NewerShardError, match=r"format 2\.0"):
        ReadingStream(tmp_path)
