"""A whisper model of random weights, small enough to make in a test: it hears nonsense, but by the real package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import whisper_spec
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

__all__ = ["write_tiny_whisper"]

WIDTH, INNER, HEADS, LAYERS = 32, 64, 2, 1
MELS, AUDIO_CONTEXT, TEXT_CONTEXT = 80, 1500, 448
END_BIAS = 3.0
"""Of the logit that ends a text; without it the model would talk up to its limit."""
_SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>",
)  # fmt: skip


def write_tiny_whisper(folder: Path, *, seed: int = 0) -> Path:
    """Write a model as faster-whisper loads it; the same seed gives the same weights."""
    folder.mkdir(parents=True)
    tokens = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE(vocab={token: place for place, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens([*_SPECIAL, *(f"<|{n * 0.02:.2f}|>" for n in range(1501))])
    tokenizer.save(str(folder / "tokenizer.json"))
    n_tokens = tokenizer.get_vocab_size()
    spec = whisper_spec.WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    _fill(spec, np.random.default_rng(seed), n_tokens)
    ending = np.zeros(n_tokens, np.float32)
    ending[tokenizer.token_to_id("<|endoftext|>")] = END_BIAS
    spec.decoder.projection.bias = ending
    names = {place: token for token, place in tokenizer.get_vocab().items()}
    spec.register_vocabulary([names[place] for place in range(n_tokens)])
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = [tokenizer.token_to_id("<|en|>")]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS, "hop_length": 160}))
    return folder


def _fill(spec: whisper_spec.WhisperSpec, rng: np.random.Generator, n_tokens: int) -> None:
    def random(*shape: int) -> np.ndarray:
        return rng.normal(0.0, 0.3, shape).astype(np.float32)

    def linear(part: object, out: int, into: int) -> None:
        part.weight, part.bias = random(out, into), np.zeros(out, np.float32)  # type: ignore[attr-defined]

    def norm(part: object) -> None:
        part.gamma, part.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)  # type: ignore[attr-defined]

    def attention(part: object, *, crossed: bool) -> None:
        norm(part.layer_norm)  # type: ignore[attr-defined]
        shapes = (
            ((WIDTH, WIDTH), (2 * WIDTH, WIDTH), (WIDTH, WIDTH))
            if crossed
            else ((3 * WIDTH, WIDTH), (WIDTH, WIDTH))
        )
        for place, (out, into) in enumerate(shapes):
            linear(part.linear[place], out, into)  # type: ignore[attr-defined]

    def feed_forward(part: object) -> None:
        norm(part.layer_norm)  # type: ignore[attr-defined]
        linear(part.linear_0, INNER, WIDTH)  # type: ignore[attr-defined]
        linear(part.linear_1, WIDTH, INNER)  # type: ignore[attr-defined]

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = random(WIDTH, MELS, 3), np.zeros(WIDTH, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = random(WIDTH, WIDTH, 3), np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = random(AUDIO_CONTEXT, WIDTH)
    norm(encoder.layer_norm)
    for layer in encoder.layer:
        attention(layer.self_attention, crossed=False)
        feed_forward(layer.ffn)
    decoder.embeddings.weight = random(n_tokens, WIDTH)
    decoder.position_encodings.encodings = random(TEXT_CONTEXT, WIDTH)
    norm(decoder.layer_norm)
    decoder.projection.weight = decoder.embeddings.weight
    for layer in decoder.layer:
        attention(layer.self_attention, crossed=False)
        attention(layer.attention, crossed=True)
        feed_forward(layer.ffn)
