"""The starter encoder cut short: real weights and real words, of which there are few enough to be taught and packed in seconds."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.numpy import load_file, save_file

from smidgen.bases.lookup import find

LAYERS, WORDS = 2, 8192
"""Of six layers and 30,522 words; the words stand in the order of how often they occur."""


def short_base(folder: Path) -> Path:
    """Write it into `folder`, and give the folder."""
    starter = find("minilm").folder
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((starter / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": LAYERS, "vocab_size": WORDS}), encoding="utf-8")
    tokenizer = json.loads((starter / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"] = {word: number for word, number in tokenizer["model"]["vocab"].items() if number < WORDS}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    weights = load_file(starter / "model.safetensors")
    table = "embeddings.word_embeddings.weight"
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("encoder.layer.") or int(name.split(".")[2]) < LAYERS}
    save_file({**kept, table: weights[table][:WORDS].copy()}, folder / "model.safetensors")
    return folder
