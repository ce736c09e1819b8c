"""Speech by Debian's flite and espeak-ng with the synthesizers' own times of every word: the truth for word times.

The voices are synthetic; the sentences were written for this project.
"""

from __future__ import annotations

import ctypes
import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from gazecapture.session.audio import RATE_HZ, AudioClip

__all__ = ["SENTENCES", "VOICES", "Spoken", "joined", "say"]

SENTENCES = (
    "The heart is normal in size. There is a small right pleural effusion.",
    "No pneumothorax is seen. The trachea lies in midline position.",
    "The costophrenic angles are sharp. Both hila are normal in size.",
    "There is a patchy opacity in the left lower lobe, which may represent atelectasis.",
    "Cardiomegaly with mild interstitial edema. A right internal jugular catheter ends in the superior vena cava.",
    "Bilateral perihilar opacities and a retrocardiac consolidation. No acute fracture of any rib is identified.",
)
VOICES = ("flite slt", "flite rms", "flite kal16", "flite awb", "espeak en", "espeak en-us")
_ESPEAK_RATE = 170
"""Words a minute."""
_END, _WORD, _PHONEME = 0, 1, 7
"""Kinds of espeak-ng's events: end of the list, a word, a phoneme."""
_SENTENCE_END = (5, 6)
_SYNCHRONOUS = 2
_SETTING_RATE = 1
_UTF8 = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A clip and when each of its words was said."""

    clip: AudioClip
    words: tuple[tuple[str, float, float], ...]
    """Word in lower case, start and end in s."""


@functools.cache
def say(text: str, voice: str) -> Spoken:
    """Speak a text by one of `VOICES`."""
    synthesizer, _, name = voice.partition(" ")
    return _flite(text, f"cmu_us_{name}") if synthesizer == "flite" else _espeak(text, name)


def joined(parts: list[Spoken], pause_s: float) -> Spoken:
    """Return several clips one after the other, with quiet between."""
    samples: list[NDArray[np.int16]] = []
    words: list[tuple[str, float, float]] = []
    at_s = 0.0
    for part in parts:
        words += [(word, start + at_s, end + at_s) for word, start, end in part.words]
        samples += [part.clip.samples, np.zeros(round(pause_s * RATE_HZ), np.int16)]
        at_s += part.clip.duration_s + pause_s
    return Spoken(clip=AudioClip(samples=np.concatenate(samples)), words=tuple(words))


def _clip(samples: NDArray[np.int16], rate_hz: int) -> AudioClip:
    divisor = math.gcd(rate_hz, RATE_HZ)
    sound = samples.astype(np.float64)
    if rate_hz != RATE_HZ:
        sound = resample_poly(sound, RATE_HZ // divisor, rate_hz // divisor)
    return AudioClip(samples=np.clip(np.round(sound), -32768, 32767).astype(np.int16))


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("rate_hz", ctypes.c_int),
        ("n", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


def _flite(text: str, voice: str) -> Spoken:
    """Speak and read the times of the segments below each word of the utterance."""
    library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
    for part in ("cmulex", "usenglish"):
        ctypes.CDLL(f"libflite_{part}.so.1", mode=ctypes.RTLD_GLOBAL)
    register = getattr(ctypes.CDLL(f"libflite_{voice}.so.1"), f"register_{voice}")
    address, text_type, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float
    register.restype, register.argtypes = address, [text_type]
    for name, result, arguments in (
        ("flite_synth_text", address, [text_type, address]),
        ("utt_wave", ctypes.POINTER(_Wave), [address]),
        ("utt_relation", address, [address, text_type]),
        ("relation_head", address, [address]),
        ("item_next", address, [address]),
        ("ffeature_string", text_type, [address, text_type]),
        ("ffeature_float", number, [address, text_type]),
        ("delete_utterance", None, [address]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.flite_init()
    utterance = library.flite_synth_text(text.encode(), register(None))
    wave = library.utt_wave(utterance).contents
    clip = _clip(np.ctypeslib.as_array(wave.samples, (wave.n,)).copy(), wave.rate_hz)
    words = []
    item = library.relation_head(library.utt_relation(utterance, b"Word"))
    while item:
        words.append(
            (
                library.ffeature_string(item, b"name").decode(),
                library.ffeature_float(item, b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"),
                library.ffeature_float(item, b"R:SylStructure.daughtern.daughtern.R:Segment.end"),
            )
        )
        item = library.item_next(item)
    library.delete_utterance(utterance)
    return Spoken(clip=clip, words=tuple(words))


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", _Id),
    )


def _espeak(text: str, voice: str) -> Spoken:
    """Speak and collect the word events; a word ends with the next word, pause phoneme or sentence."""
    library = ctypes.CDLL("libespeak-ng.so.1")
    blocks: list[NDArray[np.int16]] = []
    events: list[tuple[int, int, int, float, bytes]] = []
    callback_type = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
    )

    def collect(samples, n, found):  # type: ignore[no-untyped-def]
        if samples and n:
            blocks.append(np.ctypeslib.as_array(samples, (n,)).copy())
        place = 0
        while found[place].kind != _END:
            event = found[place]
            said = event.id.string if event.kind == _PHONEME else b""
            events.append((event.kind, event.text_position, event.length, event.audio_ms / 1e3, said))
            place += 1
        return 0

    callback = callback_type(collect)
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, None, 1)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(voice.encode())
    library.espeak_SetParameter(_SETTING_RATE, _ESPEAK_RATE, 0)
    content = text.encode() + b"\0"
    library.espeak_Synth(content, ctypes.c_size_t(len(content)), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    words = []
    for place, (kind, position, length, start_s, _) in enumerate(events):
        word = text[position - 1 : position - 1 + length].lower().strip(" .,")
        if kind != _WORD or not word:
            continue
        end_s = next(
            (at_s for k, _, _, at_s, said in events[place + 1 :]
             if k == _WORD or k in _SENTENCE_END or (k == _PHONEME and said.startswith(b"_"))),
            start_s,
        )  # fmt: skip
        words.append((word, start_s, end_s))
    return Spoken(clip=_clip(np.concatenate(blocks), rate_hz), words=tuple(words))
