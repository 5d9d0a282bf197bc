"""A tiny language model of random weights as a GGUF file: schema-valid nonsense at no cost.

The vocabulary is bytes, so any text can be read and any JSON can be written. The first place of
every embedding is the same; through it the output layer favours letters, digits and blanks, and
closes a string after some of them, or never. The second place tells a quote from all else, so that
no string is empty. It keeps to ASCII: a broken UTF-8 sequence would make the
server hold back all that follows, and notice nobody who leaves.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYERS, WIDTH, HEADS, HIDDEN, CONTEXT = 1, 64, 4, 128, 32768
ARCHITECTURE = "llama"
SPECIAL = (b"<unk>", b"<s>", b"</s>")
END = SPECIAL.index(b"</s>")
FAVOURED = b"abcdefghijklmnopqrstuvwxyz0123456789 ."
SAME, UNLIKELY, NEVER, CLOSING = 4.0, -3.0, -30.0, 2.5
QUOTE = len(SPECIAL) + ord('"')


def write_random_model(path: Path, *, closes: bool, seed: int = 7) -> None:
    """Writes the model; needs the package `gguf`.

    Args:
        path: The file.
        closes: Whether it ends its strings and lists; otherwise it talks until the schema ends it.
        seed: Another one says other nonsense.
    """
    gguf: Any = importlib.import_module("gguf")
    writer = gguf.GGUFWriter(str(path), ARCHITECTURE)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    _add_vocabulary(writer, gguf.TokenType)
    for name, values in _weights(np.random.default_rng(seed), closes=closes):
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: Any, kinds: Any) -> None:
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *([kinds.BYTE] * 256)])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END)


def _weights(
    random: np.random.Generator, *, closes: bool
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    tokens = len(SPECIAL) + 256
    said = random.normal(0, 1, (tokens, WIDTH))
    said[:, :2] = SAME, 0.0
    said[QUOTE, 1] = SAME
    yield "token_embd.weight", said
    output = random.normal(0, 0.3, (tokens, WIDTH))
    output[:, 0] = _likelihood(tokens, closes=closes)
    output[:, 1] = 0.0
    output[QUOTE, 1] = NEVER
    yield "output.weight", output
    yield "output_norm.weight", np.ones(WIDTH)
    for layer in range(LAYERS):
        for name, values in _block(random):
            yield f"blk.{layer}.{name}.weight", values


def _likelihood(tokens: int, *, closes: bool) -> NDArray[np.float64]:
    found = np.full(tokens, UNLIKELY)
    found[len(SPECIAL) + 128 :] = NEVER
    found[[END, *(len(SPECIAL) + byte for byte in FAVOURED)]] = 0.0
    found[QUOTE] = CLOSING if closes else NEVER
    if not closes:
        found[len(SPECIAL) + ord("]")] = NEVER
    return found


def _block(random: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """One layer; what it adds is small, and nothing at the first two places."""
    for name in ("attn_norm", "ffn_norm"):
        yield name, np.ones(WIDTH)
    for name in ("attn_q", "attn_k", "attn_v"):
        yield name, random.normal(0, 0.3, (WIDTH, WIDTH))
    for name in ("ffn_gate", "ffn_up"):
        yield name, random.normal(0, 0.3, (HIDDEN, WIDTH))
    for name, columns in (("attn_output", WIDTH), ("ffn_down", HIDDEN)):
        added = random.normal(0, 0.075, (WIDTH, columns))
        added[:2] = 0.0
        yield name, added
