"""What privacy costs per reading beside the copy of the pixels, and what the detector of burned-in text finds.

    python benchmarks/privacy.py [--films FOLDER] [--size 2048x2500] [--readings 4]

Prints two tables. Phantoms stand for films; --films takes a folder of radiographs. Times are CPU time of one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from curation.export.originals import write_original
from curation.privacy import Identifiers, Lexicon, Redactor, load_lexicon
from gazecapture.radiograph.burned_in import find_burned_in_text
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.store import KeyedHash

Grey = NDArray[np.uint8]
FONTS = ("DejaVuSansMono.ttf", "DejaVuSans.ttf", "DejaVuSerif.ttf")
TEXTS = ("DOE JANE 1949", "MRN 4711923", "12/03/2021")
HEIGHTS_PX = (10, 13, 16, 24, 40)
"""Of capitals."""
CAPITAL_SHARE = 0.73
"""Height of a capital in these typefaces, of the size that they are asked for by."""
TRANSCRIPT = "the heart is of normal size and there is no effusion in the left costophrenic angle . " * 5


def cpu_ms(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median CPU time, after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append((time.process_time() - started) * 1e3)
    return statistics.median(times)


def with_text(grey8: Grey, text: str, font_name: str, size_px: int, random: np.random.Generator) -> Grey:
    """Return the picture with a line of text somewhere along its edges."""
    font = ImageFont.truetype(
        str(Path(mpl.get_data_path()) / "fonts" / "ttf" / font_name), round(size_px / CAPITAL_SHARE)
    )
    picture = Image.fromarray(grey8)
    _, _, wide, high = (int(n) for n in font.getbbox(text))
    x = int(random.integers(10, max(11, picture.width - wide - 10)))
    y = int(random.choice([10, picture.height - high - 10]))
    ImageDraw.Draw(picture).text((x, y), text, fill=int(random.choice([255, 200])), font=font)
    return np.asarray(picture)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--size", default="2048x2500")
    parser.add_argument("--readings", type=int, default=4)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = sorted(p for p in options.films.rglob("*") if p.is_file()) if options.films else []
        for seed in range(0 if paths else options.readings):
            phantom = make_phantom(seed, findings=["Support Devices"] * (seed % 2), size_px=(width, height))
            paths.append(root / f"{seed}.dcm")
            write_dicom(phantom, paths[-1], patient_id=f"SYN{seed}", study_uid_seed=seed)
        _costs(paths, root)
        _recall([load_radiograph(path).grey8() for path in paths])


def _costs(paths: list[Path], root: Path) -> None:
    pseudonym, lexicon = KeyedHash(b"k" * 32), load_lexicon()
    print(
        f"{'film':<28}{'px':>12}{'text ms':>9}{'words ms':>9}{'original ms':>12}{'copy ms':>9}{'beside ms':>10}"
    )
    beside = []
    for path in paths:
        radiograph = load_radiograph(path)
        grey8 = radiograph.grey8()
        text = cpu_ms(partial(find_burned_in_text, grey8))
        words = cpu_ms(partial(_redacted, Identifiers.of([radiograph]), lexicon))
        wanted = partial(write_original, path, root / "out", patient="p", pseudonym=pseudonym)
        original = cpu_ms(wanted, repeats=3)
        # What a copy of the pixels costs by itself: decoded, and written as bare numbers.
        copy = cpu_ms(partial(_copied, path, root / "copy"), repeats=3)
        beside.append(text + words + max(original - copy, 0.0))
        size = f"{grey8.shape[1]}x{grey8.shape[0]}"
        print(
            f"{path.name[:27]:<28}{size:>12}{text:9.1f}{words:9.1f}{original:12.1f}{copy:9.1f}{beside[-1]:10.1f}"
        )
    print(
        f"beside the copy of the pixels: median {statistics.median(beside):.1f} ms, most {max(beside):.1f} ms\n"
    )


def _redacted(identifiers: Identifiers, lexicon: Lexicon) -> str:
    return Redactor(identifiers=identifiers, lexicon=lexicon)(TRANSCRIPT)


def _copied(path: Path, target: Path) -> int:
    return target.write_bytes(load_radiograph(path).grey8().tobytes())


def _recall(films: list[Grey]) -> None:
    clean = [grey8 for grey8 in films if not find_burned_in_text(grey8)]
    print(f"films without text that the detector calls clean: {len(clean)} of {len(films)}")
    print(f"{'letters px':<12}{'lines':>7}{'found':>7}")
    for size_px in HEIGHTS_PX:
        random = np.random.default_rng(size_px)
        found = [
            bool(find_burned_in_text(with_text(grey8, text, font, size_px, random)))
            for grey8 in clean[:6]
            for text in TEXTS
            for font in FONTS
        ]
        print(f"{size_px:<12}{len(found):>7}{sum(found) / max(len(found), 1):>7.2f}")


if __name__ == "__main__":
    main()
