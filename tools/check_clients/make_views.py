"""Write all views of a small generated dataset: python -m tools.check_clients.make_views FOLDER."""

import sys
from pathlib import Path

from curation.export.dataset_views import ViewRequest, write_views
from curation.export.views import VIEWS
from curation.view_settings import ViewsConfig
from tests.shard_rows import varied_rows, write_shards


def main(folder: Path) -> None:
    """Write shards and views into an empty folder."""
    requests = [ViewRequest(view=view, options=ViewsConfig().options_of(view.name)) for view in VIEWS]
    write_views(write_shards(folder, varied_rows()), folder, requests, "check-clients")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
