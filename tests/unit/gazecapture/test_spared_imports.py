"""pyarrow would import pandas at the first array; a frame that is asked for is still had, and is known again."""

from __future__ import annotations

import subprocess
import sys


def test_arrays_are_made_without_pandas_and_a_frame_brings_it_back() -> None:
    code = (
        "import sys\n"
        "import numpy as np, pyarrow as pa\n"
        "from gazecapture.spared_imports import spare_pandas\n"
        "finders = list(sys.meta_path)\n"
        "spare_pandas()\n"
        "assert sys.meta_path == finders\n"
        "lost = np.array([1.0, np.nan])\n"
        "table = pa.table({'x': lost, 'y': pa.array(lost, from_pandas=True), 'z': pa.array(['a', None])})\n"
        "rows = pa.Table.from_pylist(table.to_pylist(), schema=table.schema)\n"
        "assert [rows[name].null_count for name in 'xyz'] == [0, 1, 1]\n"
        "assert 'pandas' not in sys.modules\n"
        "frame = rows.to_pandas()\n"
        "assert type(frame) is sys.modules['pandas'].DataFrame\n"
        "assert pa.array(frame['x']).null_count == 1\n"
        "assert pa.Table.from_pandas(frame)['x'].null_count == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
