"""Which streams of the network a recorder takes."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence

from gazecapture.profiles import Profile
from gazecapture.sources.lsl import FoundStream, LslSource, wait_for_streams
from gazecapture.sources.lsl_xml import GAZE_KINDS, WORDS_KIND
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, UsageError

__all__ = ["choose_sources", "late_words"]

logger = logging.getLogger(__name__)

SETTLE_S = 0.5
"""s for the other streams to answer once the gaze is found: liblsl asks again after half a second."""


def choose_sources(
    names: Sequence[str], *, wait_s: float, own_profiles: Sequence[Profile] = (), with_words: bool = True
) -> list[LslSource]:
    """Find the streams that are named (by name or source id), or else the gaze stream and the words stream.

    Where no words stream is named, the one of the same host comes too. A stream counts as gaze by its type, or where
    one of ``own_profiles`` is for its name and type. Without ``with_words`` no words stream is taken, named or not: the
    reader has not agreed to it.

    Raises DeviceUnavailableError where one does not appear within ``wait_s``, UsageError where a choice among
    several is left to nobody.
    """
    seen: list[FoundStream] = []
    if names:
        chosen = wait_for_streams(lambda found: _all_named(names, found, seen), wait_s=wait_s)
        if chosen is None:
            present = {text for stream in seen for text in (stream.name, stream.source_id)}
            missing = [name for name in names if name not in present]
            raise _not_found(f"no stream named {', '.join(map(repr, missing))}", wait_s)
        streams = [*chosen, *(_words_beside(chosen, seen) if with_words else [])]
    else:
        is_gaze = functools.partial(_is_gaze, own_profiles=own_profiles)
        if wait_for_streams(lambda found: _any(is_gaze, found, seen), wait_s=wait_s) is None:
            raise _not_found("no gaze stream", wait_s)
        gaze = _only([stream for stream in _with_words(seen) if is_gaze(stream)])
        words = [stream for stream in seen if _is_words(stream)]
        streams = [gaze, *([_only(words)] if words and with_words else [])]
    if not with_words and any(_is_words(stream) for stream in seen):
        logger.warning("the reader did not agree that speech is recorded: no words stream is taken")
        streams = [stream for stream in streams if not _is_words(stream)]
    return [LslSource(stream, own_profiles=own_profiles) for stream in streams]


def _any(
    wanted: Callable[[FoundStream], bool], found: list[FoundStream], seen: list[FoundStream]
) -> bool | None:
    seen[:] = found
    return any(wanted(stream) for stream in found) or None


def _with_words(seen: list[FoundStream]) -> list[FoundStream]:
    """Give a words stream that did not answer yet, unlike the gaze, the time to; ``seen`` is brought up to date."""
    if not any(_is_words(stream) for stream in seen):
        end = time.monotonic() + SETTLE_S
        later = wait_for_streams(
            lambda found: found if time.monotonic() >= end else None, wait_s=2 * SETTLE_S
        )
        seen[:] = {stream.uid: stream for stream in (*seen, *(later or []))}.values()
    return seen


def _words_beside(chosen: Sequence[FoundStream], seen: list[FoundStream]) -> list[FoundStream]:
    """Return the words stream of the host that sends ``chosen``, if that has one and none was chosen."""
    if any(_is_words(stream) for stream in chosen):
        return []
    hosts = {stream.hostname for stream in chosen}
    words = [stream for stream in _with_words(seen) if _is_words(stream) and stream.hostname in hosts]
    if len({stream.source_id for stream in words}) > 1:
        logger.warning("several words streams answer and none was named; no words are recorded")
        return []
    return words[:1]


def late_words(sources: list[LslSource]) -> list[LslSource]:
    """Return a words stream that appeared meanwhile, where ``sources`` have none yet, and add it to them."""
    if any(source.is_words for source in sources):
        return []
    found = wait_for_streams(lambda found: [s for s in found if _is_words(s)] or None, wait_s=2 * SETTLE_S)
    if not found:
        return []
    sources.append(LslSource(_only(found)))
    return sources[-1:]


def _all_named(
    names: Sequence[str], found: list[FoundStream], seen: list[FoundStream]
) -> list[FoundStream] | None:
    seen[:] = found
    chosen = []
    for name in names:
        fitting = [stream for stream in found if name in (stream.name, stream.source_id)]
        if not fitting:
            return None
        chosen.append(_only(fitting))
    return chosen


def _only(streams: Sequence[FoundStream]) -> FoundStream:
    """Return the one stream there is; of one sender that was just started anew, its newest start."""
    if len({(stream.name, stream.source_id) for stream in streams}) > 1:
        names = ", ".join(sorted(f"{stream.name!r} ({stream.source_id})" for stream in streams))
        raise UsageError(
            f"several streams could be meant: {names}",
            hint="Choose with --stream NAME or --stream SOURCE_ID.",
            code="GT-AMBIGUOUS-STREAM",
        )
    return max(streams, key=lambda stream: stream.created_at)


def _is_gaze(stream: FoundStream, *, own_profiles: Sequence[Profile] = ()) -> bool:
    if stream.kind.casefold() in GAZE_KINDS:
        return True
    return any(
        (profile.match.name or profile.match.type) and profile.may_fit(name=stream.name, kind=stream.kind)
        for profile in own_profiles
    )


def _is_words(stream: FoundStream) -> bool:
    return stream.kind.casefold() == WORDS_KIND and stream.channel_format == "string"


def _not_found(what: str, wait_s: float) -> DeviceUnavailableError:
    return DeviceUnavailableError(
        f"{what} answered within {wait_s:g} s",
        reason=DeviceUnavailableReason.NOT_FOUND,
        hint="Start the sender; `gazecapture streams` lists what answers, `gazecapture doctor` checks the network.",
        code="GT-NO-STREAM",
    )
