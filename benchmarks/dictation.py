"""How exact the times of words are that `align` finds, by voice, and what it and the checks cost.

    python benchmarks/dictation.py [--reading-s 50]

Speech is made by Debian's flite and espeak-ng, whose own times of words are the truth. Beside `align` stands the same
text spread over the clip by its letters, which is what one has without an engine. Times are CPU time of one process.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from curation.dictation.placing import place_between
from curation.dictation.speech import find_speech
from curation.dictation.sphinx import AlignEngine
from curation.dictation.words import HeardWord
from tests.voices import SENTENCES, VOICES, Spoken, joined, say

PAUSE_S = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--reading-s", type=float, default=50.0, help="length of the reading whose cost is measured"
    )
    reading_s = parser.parse_args().reading_s
    print("word edges, s off the synthesizer's own")
    print(f"{'voice':<14}{'edges':>7}{'median':>9}{'95 %':>9}{'worst':>9}{'spread: median':>17}{'95 %':>9}")
    every: list[float] = []
    for voice in VOICES:
        aligned: list[float] = []
        spread: list[float] = []
        for text in SENTENCES:
            spoken = say(text, voice)
            words = [word for word, _, _ in spoken.words]
            aligned += _errors_s(spoken, AlignEngine().words(spoken.clip, words))
            spread += _errors_s(spoken, _by_letters(spoken))
        every += aligned
        print(f"{voice:<14}{_line(aligned)}{np.median(spread):>17.3f}{np.quantile(spread, 0.95):>9.3f}")
    print(f"{'all':<14}{_line(every)}")
    _costs(reading_s)


def _costs(reading_s: float) -> None:
    parts: list[Spoken] = []
    while sum(part.clip.duration_s + PAUSE_S for part in parts) < reading_s:
        parts.append(say(SENTENCES[len(parts) % len(SENTENCES)], "flite slt"))
    whole = joined(parts, PAUSE_S)
    started = time.process_time()
    find_speech(whole.clip)
    checked = time.process_time()
    heard = AlignEngine().words(whole.clip, [word for word, _, _ in whole.words])
    ended = time.process_time()
    print(f"\na reading of {whole.clip.duration_s:.0f} s and {len(whole.words)} words")
    print(f"finding the speech in it  {checked - started:6.2f} CPU-s")
    print(f"aligning its words        {ended - checked:6.2f} CPU-s")
    print(f"edges of the whole reading at once: {_line(_errors_s(whole, heard)).strip()}")


def _by_letters(spoken: Spoken) -> list[HeardWord]:
    """Return the words spread over the time from the first to the last one."""
    first, last = spoken.words[0], spoken.words[-1]
    nan = float("nan")
    words = [
        HeardWord(word=first[0], t_start_s=first[1], t_end_s=first[2]),
        *(HeardWord(word=word, t_start_s=nan, t_end_s=nan) for word, _, _ in spoken.words[1:-1]),
        HeardWord(word=last[0], t_start_s=last[1], t_end_s=last[2]),
    ]
    return place_between(words, spoken.clip.duration_s)


def _errors_s(spoken: Spoken, heard: list[HeardWord]) -> list[float]:
    """Return how far start and end of every word are off; dictated punctuation that was heard is left out."""
    words = [word for word in heard if any(letter.isalnum() for letter in word.word)]
    pairs = zip(spoken.words, words, strict=True)
    return [e for (_, start, end), w in pairs for e in (abs(w.t_start_s - start), abs(w.t_end_s - end))]


def _line(errors_s: list[float]) -> str:
    median, high = np.quantile(errors_s, [0.5, 0.95])
    return f"{len(errors_s):>7}{median:>9.3f}{high:>9.3f}{max(errors_s):>9.3f}"


if __name__ == "__main__":
    main()
