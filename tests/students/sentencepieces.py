"""A tokenizer of Gemma's kind, made from a few texts: SentencePiece's BPE with a token for each byte, as its converter writes it."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<unused0>", "<unused1>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
TEXTS = (
    "The brass lamp costs £24.50, and it's sold with a three-year guarantee.\nA red vase for your home.  A blue vase for your home.",
    "colour: red, material: brass\ncolour: blue, material: stoneware\nWipe with a damp cloth; do not use bleach!\n\nHeight: 31 cm",
    "Café-style mugs, set of 4. The lamp, the lamps, the vases and the vase. user\nmodel\n日本",
)


def sentencepieces(folder: Path, size: int = 900) -> Path:
    """Write tokenizer.json and tokenizer_config.json; at most `size` tokens."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    learner.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=size - 270, show_progress=False))
    learnt = sorted(learner.get_vocab().items(), key=lambda entry: entry[1])
    names = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256)), *(text for text, _ in learnt)]
    vocabulary = {name: number for number, name in enumerate(names)}
    # The converter knows no merges but each way to part a token in two, those of the strongest tokens first.
    merges = [
        (name[:cut], name[cut:])
        for name, _ in learnt
        for cut in sorted(range(1, len(name)), key=lambda at: (vocabulary.get(name[:at], -1), vocabulary.get(name[at:], -1)))
        if name[:cut] in vocabulary and name[cut:] in vocabulary
    ]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder
