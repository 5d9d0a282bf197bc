"""A tiny language model of random weights as a GGUF file: schema-valid nonsense at no cost.

The vocabulary is bytes, so any text can be read and any JSON can be written.
"""

from pathlib import Path

import numpy as np

LAYERS, WIDTH, HEADS, HIDDEN, CONTEXT = 1, 64, 4, 128, 8192
ARCHITECTURE = "llama"


def write_random_model(path: Path, *, seed: int = 7) -> None:
    """Writes the model; needs the package `gguf`."""
    import gguf

    writer = gguf.GGUFWriter(str(path), ARCHITECTURE)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    tokens = _vocabulary(writer, gguf)
    random = np.random.default_rng(seed)
    for name, shape in _tensors(tokens):
        values = np.ones(shape) if name.endswith("norm.weight") else random.normal(0, 0.3, shape)
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer: "object", gguf: "object") -> int:
    """Three special tokens and the 256 bytes; returns how many."""
    kinds = gguf.TokenType  # type: ignore[attr-defined]
    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *([kinds.BYTE] * 256)]
    writer.add_tokenizer_model("llama")  # type: ignore[attr-defined]
    writer.add_token_list(tokens)  # type: ignore[attr-defined]
    writer.add_token_scores([0.0] * len(tokens))  # type: ignore[attr-defined]
    writer.add_token_types(types)  # type: ignore[attr-defined]
    writer.add_unk_token_id(0)  # type: ignore[attr-defined]
    writer.add_bos_token_id(1)  # type: ignore[attr-defined]
    writer.add_eos_token_id(2)  # type: ignore[attr-defined]
    return len(tokens)


def _tensors(tokens: int) -> list[tuple[str, tuple[int, ...]]]:
    found: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (tokens, WIDTH)),
        ("output_norm.weight", (WIDTH,)),
        ("output.weight", (tokens, WIDTH)),
    ]
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        found += [(f"{block}.{name}_norm.weight", (WIDTH,)) for name in ("attn", "ffn")]
        found += [
            (f"{block}.attn_{name}.weight", (WIDTH, WIDTH)) for name in ("q", "k", "v", "output")
        ]
        found += [(f"{block}.ffn_{name}.weight", (HIDDEN, WIDTH)) for name in ("gate", "up")]
        found.append((f"{block}.ffn_down.weight", (WIDTH, HIDDEN)))
    return found
