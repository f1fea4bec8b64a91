"""llama.cpp's word on a GGUF, asked in a process of its own: what it writes greedily, how it splits texts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CODE = """
import json, sys, urllib.request
import xllamacpp as llama

asked = json.loads(sys.stdin.read())
params = llama.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.warmup, params.verbosity = asked["model"], 512, 1, False, -1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cache_type_k = params.cache_type_v = llama.ggml_type.GGML_TYPE_F32
# Flash attention rounds queries to 16 bits; without it, float32 weights give what transformers gives to five places.
params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
params.cache_prompt = False
if asked["adapter"]:
    adapter = llama.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = asked["adapter"], 1.0
    params.lora_adapters = [adapter]
server = llama.Server(params)

def post(path, body):
    request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))

greedy = {"n_predict": asked["count"], "temperature": 0, "return_tokens": True, "n_probs": 1, "cache_prompt": False}
told = {"written": [], "split": []}
for prompt in asked["prompts"]:
    got = post("/completion", {"prompt": prompt, **greedy})
    # Steps that end within a character are not told of: there are none where every token is whole characters.
    steps = got["completion_probabilities"]
    told["written"].append([got["tokens"], [entry["logprob"] for entry in steps], got["content"]])
for text in asked["texts"]:
    told["split"].append(post("/tokenize", {"content": text, "parse_special": True})["tokens"])
print("\\n" + json.dumps(told))
"""


@dataclass(frozen=True)
class Told:
    """`written`: (ids, log probability of each, text) of each prompt; `split`: ids of each text."""

    written: list[tuple[list[int], list[float], str]]
    split: list[list[int]]


def told(
    model: Path, prompts: Sequence[Sequence[int]] = (), *, count: int = 12, texts: Sequence[str] = (), adapter: Path | None = None
) -> Told:
    """Ask llama.cpp to go on with prompts of ids, `count` tokens each, and to split texts."""
    asked = {"model": str(model), "prompts": prompts, "count": count, "texts": texts, "adapter": str(adapter) if adapter else None}
    done = subprocess.run([sys.executable, "-c", _CODE], input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Told([tuple(entry) for entry in found["written"]], found["split"])
