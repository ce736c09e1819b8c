"""PocketSphinx with the acoustic model, language model and CMUdict that its wheel carries: nothing to download.

Engine ``align`` places a text that is known, and finds the punctuation that was dictated with it. Engine
``pocketsphinx`` recognises freely; its model was made for other speech, and it gets every second or third word of a
report wrong: it is there to try the rest of the way, not for data.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.dictation.placing import place_between
from curation.dictation.pronounce import Lookup, pronounce, spoken_tokens
from curation.dictation.protocol import CODE
from curation.dictation.punctuation import COMMANDS
from curation.dictation.words import HeardWord
from gazecapture.session.audio import RATE_HZ, AudioClip
from keyframes.errors import ConfigError, DataError

__all__ = ["AlignEngine", "PocketSphinxEngine"]

FRAME_HZ = 100
"""Of the acoustic model."""
EDGE_S = 0.25
"""s of quiet put before and after: the model expects a sentence to begin and end in silence."""
HISS_SHARES = (0.01, 0.03, 0.1)
"""Of the clip's root mean square, added as noise, tried in turn. The model was trained on rooms; in the digital silence
within synthesised or gated speech it finds no state at all and the whole alignment breaks off."""
LEAST_HISS = 5.0
"""Of 32768."""
BEAMS: tuple[Mapping[str, float], ...] = ({}, {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80})
"""Tried in turn: the default (1e-48, word ends 7e-29) and wider ones for words that sound unlike their spelling."""
SOUGHT = (("full", "stop"), ("period",), ("comma",))
"""Commands that are looked for after every word of a text. Each further one widens the grammar everywhere, and with six
of them the search lost its way in a quarter of the clips that it was tried on."""


class AlignEngine:
    """Forced alignment of the words that are known to have been said.

    hear_punctuation : look for "full stop", "comma" and the like after each word, which a typed text does not spell
    out.
    """

    name = "align"
    needs_text = True

    def __init__(self, *, hear_punctuation: bool = True) -> None:
        self._hear_punctuation = hear_punctuation

    def words(self, clip: AudioClip, text: Sequence[str] = ()) -> list[HeardWord]:
        """See `curation.dictation.protocol.SpeechEngine.words`.

        Words after the place where no attempt came through are spread over the rest of the clip as ``interpolated``;
        without
        any that came through all are ``unplaced``.
        """
        said = [(place, token) for place, word in enumerate(text) for token in spoken_tokens(word)]
        if not said or not clip.samples.size:
            return place_between([_unplaced(word) for word in text], clip.duration_s)
        best: list[_Segment] = []
        for with_commands, beams, share in self._attempts():
            tokens = [token for _, token in said]
            segments = _align(clip, tokens, with_commands=with_commands, beams=beams, hiss_share=share)
            if _n_placed(segments) > _n_placed(best):
                best = segments
            if _n_placed(best) == len(said):
                break
        return place_between(
            _as_words(text, [place for place, _ in said], best, clip.duration_s), clip.duration_s
        )

    def _attempts(self) -> Iterator[tuple[bool, Mapping[str, float], float]]:
        """Give the ways to try: with dictated punctuation first, then without, which comes through more often."""
        if self._hear_punctuation:
            yield from ((True, BEAMS[0], share) for share in HISS_SHARES[:2])
        yield from ((False, beams, share) for beams in BEAMS for share in HISS_SHARES)


class PocketSphinxEngine:
    """Open recognition; poor."""

    name = "pocketsphinx"
    needs_text = False

    def words(self, clip: AudioClip, text: Sequence[str] = ()) -> list[HeardWord]:
        """See `curation.dictation.protocol.SpeechEngine.words`."""
        if not clip.samples.size:
            return []
        heard = _decode(_decoder(), _with_hiss(clip, HISS_SHARES[0]))
        return [
            HeardWord(
                word=segment.word,
                t_start_s=_within(segment.t_start_s, clip),
                t_end_s=_within(segment.t_end_s, clip),
                confidence=segment.confidence,
            )
            for segment in heard
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """One word of the decoder, s since the clip's first sample."""

    word: str
    t_start_s: float
    t_end_s: float
    confidence: float | None = None
    command: tuple[str, ...] = ()
    """It is of dictated punctuation, not of the text."""


def _align(
    clip: AudioClip,
    tokens: Sequence[str],
    *,
    with_commands: bool,
    beams: Mapping[str, float],
    hiss_share: float,
) -> list[_Segment]:
    """Return the tokens as far as the search came, with the commands that it heard between them."""
    decoder = _decoder(lm=None, **beams)
    names = _names_in(decoder, {*tokens, *(token for command in SOUGHT for token in command)})
    optional = " | ".join(" ".join(names[token] for token in command) for command in SOUGHT)
    after = f" [ {optional} ] " if with_commands else " "
    grammar = "".join(names[token] + after for token in tokens)
    decoder.add_jsgf_string("text", f"#JSGF V1.0; grammar text; public <text> = {grammar};")
    decoder.activate_search("text")
    return _told_apart(_decode(decoder, _with_hiss(clip, hiss_share)), [names[t] for t in tokens], names)


def _decoder(**options: object) -> Any:
    try:
        import pocketsphinx
    except ImportError:
        raise ConfigError(
            "the package pocketsphinx is not installed",
            hint="pip install 'gazecapture[dictation]', or set [speech] engine to another one.",
            code=CODE,
        ) from None
    return pocketsphinx.Decoder(loglevel="FATAL", **options)


def _names_in(decoder: Any, tokens: set[str]) -> dict[str, str]:
    """Add what the lexicon lacks; return each token's name in it (a grammar takes letters only)."""
    lookup: Lookup = functools.lru_cache(maxsize=None)(decoder.lookup_word)
    names = {}
    for token in sorted(tokens):
        if lookup(token) and token.isalpha():
            names[token] = token
            continue
        names[token] = "own" + "".join(
            chr(ord("a") + byte % 16) + chr(ord("a") + byte // 16) for byte in token.encode()
        )
        decoder.add_word(names[token], pronounce(token, lookup), True)
    return names


def _with_hiss(clip: AudioClip, share: float) -> bytes:
    """Return the clip between two quiet edges, with noise that is the same every time."""
    edge = round(EDGE_S * RATE_HZ)
    sound: NDArray[np.float64] = np.pad(clip.samples.astype(np.float64), edge)
    hiss = max(LEAST_HISS, share * float(np.sqrt((clip.samples.astype(np.float64) ** 2).mean())))
    noisy = sound + np.random.default_rng(0).normal(0.0, hiss, sound.size)
    return np.clip(noisy, -32768, 32767).astype("<i2").tobytes()


def _decode(decoder: Any, sound: bytes) -> list[_Segment]:
    try:
        decoder.start_utt()
        decoder.process_raw(sound, no_search=False, full_utt=True)
        decoder.end_utt()
        found = list(decoder.seg() or ())
    except RuntimeError as error:
        raise DataError("pocketsphinx could not work on the clip", code=CODE) from error
    segments = []
    for one in found:
        if one.word[0] in "<[+":
            continue  # silence and noises
        segments.append(
            _Segment(
                word=one.word.partition("(")[0],  # a further pronunciation is "word(2)"
                t_start_s=one.start_frame / FRAME_HZ - EDGE_S,
                t_end_s=(one.end_frame + 1) / FRAME_HZ - EDGE_S,
                confidence=min(1.0, float(decoder.get_logmath().exp(one.prob))),
            )
        )
    return segments


def _told_apart(
    heard: Sequence[_Segment], expected: Sequence[str], names: Mapping[str, str]
) -> list[_Segment]:
    """Mark the segments that are dictated punctuation.

    What is heard is the text in order with commands between, so a segment that is not the text's next word begins a
    command; a text's own word "period" comes before a dictated one.
    """
    commands = {tuple(names[token] for token in command): command for command in SOUGHT}
    marked: list[_Segment] = []
    place = at = 0
    while place < len(heard):
        if at < len(expected) and heard[place].word == expected[at]:
            marked.append(heard[place])
            place, at = place + 1, at + 1
            continue
        said = next((c for c in commands if tuple(s.word for s in heard[place : place + len(c)]) == c), None)
        if said is None:
            break  # a command that the end of the clip cut
        last = heard[place + len(said) - 1]
        marked.append(replace(heard[place], t_end_s=last.t_end_s, command=commands[said]))
        place += len(said)
    return marked


def _n_placed(segments: Sequence[_Segment]) -> int:
    return sum(not segment.command for segment in segments)


def _as_words(
    text: Sequence[str], owners: Sequence[int], segments: Sequence[_Segment], duration_s: float
) -> list[HeardWord]:
    """Return the written words with the times of their tokens, and the dictated punctuation where the text has none."""
    times: dict[int, list[_Segment]] = {}
    dictated: dict[int, _Segment] = {}
    placed = 0
    for segment in segments:
        if segment.command:
            if placed:
                dictated[owners[placed - 1]] = segment
        elif placed < len(owners):
            times.setdefault(owners[placed], []).append(segment)
            placed += 1
    words: list[HeardWord] = []
    for place, written in enumerate(text):
        mine = times.get(place)
        if mine:
            words.append(
                HeardWord(
                    word=written,
                    t_start_s=max(0.0, mine[0].t_start_s),
                    t_end_s=min(duration_s, mine[-1].t_end_s),
                )
            )
        else:
            words.append(_unplaced(written))
        if place in dictated:
            words += _punctuation(text, place, dictated[place], duration_s)
    return words


def _punctuation(text: Sequence[str], place: int, segment: _Segment, duration_s: float) -> list[HeardWord]:
    """Return the dictated sign as a word of its own, unless the text has it in writing."""
    following = text[place + 1] if place + 1 < len(text) else ""
    if text[place][-1] in ".,:;!?" or (following and not spoken_tokens(following)):
        return []
    sign = COMMANDS[segment.command]
    return [HeardWord(word=sign, t_start_s=segment.t_start_s, t_end_s=min(duration_s, segment.t_end_s))]


def _unplaced(word: str) -> HeardWord:
    return HeardWord(word=word, t_start_s=float("nan"), t_end_s=float("nan"), placing="unplaced")


def _within(t_s: float, clip: AudioClip) -> float:
    return min(max(t_s, 0.0), clip.duration_s)
