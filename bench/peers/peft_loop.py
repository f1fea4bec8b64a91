"""Peer: a decoder taught by LoRA in a plain loop of transformers and peft, as their guides write it.

Runs in an environment of its own and imports nothing of smidgen. Prints one JSON object as its last line. The loop: 16-bit weights, the
chat template of the base, loss on the answer only, rows padded to the longest of a batch in an order that is shuffled, AdamW.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import random
import time
from pathlib import Path

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    """Teach for `--seconds` and say how many tokens and examples a second that were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, type=Path, help="folder with config.json, tokenizer.json, model.safetensors")
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--input", default="input")
    parser.add_argument("--label", default="output")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(given.seed)
    tokenizer = AutoTokenizer.from_pretrained(given.base)
    model = AutoModelForCausalLM.from_pretrained(given.base, dtype=torch.bfloat16)
    model = get_peft_model(model, LoraConfig(r=given.rank, lora_alpha=2 * given.rank, target_modules=TARGETS, task_type="CAUSAL_LM"))
    model.train()
    with given.train.open(encoding="utf-8", newline="") as file:
        rows = [encoded(tokenizer, row[given.input], row[given.label]) for row in csv.DictReader(file)]
    random.Random(given.seed).shuffle(rows)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=given.learning_rate)
    began, warm, tokens, examples, losses = time.perf_counter(), None, 0, 0, []
    for start in range(0, len(rows) - given.batch + 1, given.batch):
        batch = rows[start : start + given.batch]
        length = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([row + [tokenizer.eos_token_id] * (length - len(row)) for row, _ in batch])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row, _ in batch])
        labels = torch.tensor([[-100] * prompt + row[prompt:] + [-100] * (length - len(row)) for row, prompt in batch])
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
        now = time.perf_counter()
        if warm is None:
            warm = now  # the first step allocates and compiles; it is not counted
            continue
        tokens, examples = tokens + sum(len(row) for row, _ in batch), examples + len(batch)
        if now - began > given.seconds:
            break
    spent = time.perf_counter() - (warm or began)
    names = ("torch", "transformers", "peft")
    print(
        json.dumps(
            {
                "tokens_per_second": tokens / spent,
                "examples_per_second": examples / spent,
                "batch": given.batch,
                "steps": len(losses),
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "seconds": spent,
                "versions": {name: importlib.metadata.version(name) for name in names},
            }
        )
    )


def encoded(tokenizer, source: str, answer: str) -> tuple[list[int], int]:  # type: ignore[no-untyped-def]
    """Token ids of an example, and how many of them are the prompt."""
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": source}], tokenize=False, add_generation_prompt=True)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    after = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return [*before, *after, tokenizer.eos_token_id], len(before)


if __name__ == "__main__":
    main()
