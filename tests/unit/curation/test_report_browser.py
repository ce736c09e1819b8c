"""The report in a real browser, narrow and wide, without a network: nothing overflows, all of it is legible."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.export.dataset import MANIFEST
from curation.export.schema import SHARD
from curation.funnel import Funnel
from curation.report import DatasetSource, build_report, page

WIDTHS_PX = (390, 820, 1280)
"""A telephone, a tablet, a desk."""
LOOK = """
const look = async frame => {
  const page = frame.contentDocument, root = page.documentElement;
  const inScroller = e => e.closest(".wide") !== null || e.closest("svg") !== null;
  for (const image of page.images) {
    image.loading = "eager";
    if (!image.complete) await new Promise(done => { image.onload = image.onerror = done; });
  }
  const elements = [...page.body.querySelectorAll("*")];
  const shown = elements.filter(e => e.getClientRects().length && !e.closest(".skip"));
  return {
    width: root.clientWidth, scrolls: root.scrollWidth > root.clientWidth,
    beyond: shown.filter(e => !inScroller(e) && e.getBoundingClientRect().right > root.clientWidth + 1)
      .map(e => e.outerHTML.slice(0, 120)),
    chart_text_beyond: [...page.querySelectorAll("svg text")].filter(e => {
      const box = e.getBoundingClientRect();
      return box.left < -1 || box.right > root.clientWidth + 1;
    }).map(e => e.textContent),
    bars_without_height: [...page.querySelectorAll(".histogram rect")]
      .filter(e => e.getBoundingClientRect().height <= 0).length,
    n_images: page.images.length,
    without_picture: [...page.images].filter(i => !i.naturalWidth).map(i => i.alt), scripts: page.scripts.length,
    broken_links: [...page.querySelectorAll('a[href^="#"]')].filter(
      a => page.getElementById(a.getAttribute("href").slice(1)) === null).map(a => a.getAttribute("href")),
    body: page.body.innerText.length,
  };
};
addEventListener("load", async () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) found.push(await look(frame));
  document.body.textContent = JSON.stringify(found);
});
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> str:
    """Two readings of one study, one of them shown in full, with something in every section."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "readings").mkdir()
    rows = [
        {**row, "study_key": "one"}
        for path in sorted((exported / "readings").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    rows[0]["issues"] = [
        {
            "code": "GQ-LOSS-SHARE-HIGH",
            "severity": "warning",
            "message": "a long message " * 12,
            "sentence_id": None,
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SHARD), folder / "readings" / "train-00000.parquet")
    funnel = Funnel()
    for _ in range(2):
        funnel.add("kept")
    funnel.add("rejected", ["GQ-LOSS-SHARE"])
    funnel.add("failed", ["GT-SCHEMA"])
    manifest = json.loads((exported / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "funnel": funnel.to_dict()}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(page, "MAX_DETAILED", 1)
        return build_report(DatasetSource(folder))


@pytest.fixture(scope="module")
def looked(report: str, tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[str, Any]]:
    """What a browser without a network finds at each width."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "chromium is not installed: apt-get install chromium"
    folder = tmp_path_factory.mktemp("page")
    (folder / "report.html").write_text(report, encoding="utf-8")
    frames = "".join(f'<iframe src="report.html" width="{w}" height="900"></iframe>' for w in WIDTHS_PX)
    (folder / "look.html").write_text(
        f"<!doctype html><body>{frames}<script>{LOOK}</script></body>", encoding="utf-8"
    )
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--allow-file-access-from-files",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--window-size=1400,1000",
        f"--user-data-dir={folder / 'chromium'}",
    ]  # fmt: skip
    run = subprocess.run(
        [found, *flags, "--dump-dom", (folder / "look.html").as_uri()],
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "CONSOLE" not in run.stderr, run.stderr
    assert "Content Security Policy" not in run.stderr
    body = re.search(r"<body>(.*)</body>", run.stdout, re.DOTALL)
    assert body is not None
    content: list[Mapping[str, Any]] = json.loads(html.unescape(body[1]))
    return content


def test_nothing_overflows_and_every_picture_and_link_works(
    looked: list[Mapping[str, Any]], report: str
) -> None:
    assert len(looked) == len(WIDTHS_PX)
    for seen in looked:
        assert not seen["scrolls"], seen["width"]
        assert seen["beyond"] == []
        assert seen["chart_text_beyond"] == []
        assert seen["bars_without_height"] == 0
        assert seen["broken_links"] == []
        assert seen["scripts"] == 0
        assert seen["without_picture"] == []
        assert seen["n_images"] == report.count("<img ")
        assert seen["body"] > 1000


class Outline(HTMLParser):
    """Collects headings, and what a screen reader would be told of pictures and charts."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.unnamed: list[str] = []
        self.n_charts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" and not named.get("alt"):
            self.unnamed.append(str(named)[:200])
        if named.get("role") == "img":
            self.n_charts += 1
            if not named.get("aria-label"):
                self.unnamed.append(str(named)[:200])
        if tag == "th" and "scope" not in named:
            self.unnamed.append(str(named)[:200])


def test_it_can_be_read_without_seeing_it(report: str) -> None:
    outline = Outline()
    outline.feed(report)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert outline.unnamed == []
    assert outline.n_charts > 10
    for title in ("Readings kept", "Quality", "Dwell by letter", "Trajectories", "Agreement", "Gallery"):
        assert f">{title}" in report


def luminance(colour: str) -> float:
    parts = [
        int(c * 2 if len(colour) == 4 else c, 16) / 255
        for c in re.findall("." if len(colour) == 4 else "..", colour[1:])
    ]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_in_light_and_in_dark() -> None:
    style = resources.files("curation.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    themes = [
        dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", block)) for block in re.findall(r":root{([^}]*)}", style)
    ]
    light, dark = (theme for theme in themes if "paper" in theme)
    for theme in (light, dark):
        for text, ground in [
            (a, b) for a in ("ink", "faint", "link", "gate") for b in ("paper", "wash", "notice")
        ]:
            high, low = sorted((luminance(theme[text]), luminance(theme[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)  # WCAG 2.2, AA
