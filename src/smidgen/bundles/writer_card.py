"""The parts of a writer's model card that differ from a classifier's: results, examples, usage."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.bundles.manifest import Manifest
from smidgen.bundles.markdown import NOT_MEASURED, cell, grade, share, table
from smidgen.text.rouge_chrf import METRIC_NAMES, SHARE_METRICS

_EXAMPLES = 3
_LONGEST = 600


def title(name: str) -> str:
    """A metric's displayed name."""
    return METRIC_NAMES[name][0] if name in METRIC_NAMES else cell(name)


def _told(name: str) -> str:
    return f"{title(name)}: {METRIC_NAMES[name][1]}" if name in METRIC_NAMES else cell(name)


def measured(name: str, found: Mapping[str, Any] | None) -> str:
    """A metric: a share in percent, a grade with three digits."""
    return share(found) if name in SHARE_METRICS else grade(found)


_BASELINES = {"prompted": "the base asked with examples", "unchanged": "the input given back unchanged"}


def doubt(change: Mapping[str, Any], other: str) -> str:
    """A sentence after a change that does not show this model to be better than the other; empty if it does."""
    if change["high"] < 0:
        return f" The whole interval is below zero: on this test set this model is worse than {other}."
    if change["low"] <= 0:
        return f" The interval holds zero: on this test set it is not shown that this model is better than {other}."
    return ""


def results(own: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]], parity: Mapping[str, Any]) -> str:
    """The metrics beside those of the baselines, and the effect of packing."""
    if not own:
        return f"Results: {NOT_MEASURED}."
    names = [_BASELINES.get(base.get("name") or "", cell(base.get("name") or "")) for base in baselines]
    rows = [
        [_told(name), measured(name, found), *(measured(name, (base.get("metrics") or {}).get(name)) for base in baselines)]
        for name, found in own.items()
    ]
    text = table(["metric", "this model", *(f"baseline ({name})" for name in names)], rows)
    for name, base in zip(names, baselines, strict=True):
        change = base.get("change")
        if not change:
            continue
        value, low, high = (f"{change[side]:+.3f}" for side in ("value", "low", "high"))
        text += f"\n\nAgainst the baseline ({name}) on the same rows: {value} ({low} to {high})."
        text += doubt(change, "that")
    if parity:
        moved = f", and what they are worth changed by {parity['change']['value']:+.3f}" if parity.get("change") else ""
        text += (
            f"\n\nThe packed files write as the trained model did, to the letter, for {share(parity.get('agreement'))} of "
            f"{parity.get('n', 0):,} held-out texts{moved}."
        )
    return text


def examples(samples: Sequence[Mapping[str, Any]], fitted: bool = True) -> str:
    """A few test texts with the model's answers: the best, a middle one, and the worst of the usual ones. `fitted` as in `score`."""
    usual = sorted((sample for sample in samples if not sample.get("weak")), key=lambda sample: -sample["grade"])
    if not usual:
        return f"Examples: {NOT_MEASURED}."
    places = sorted({round(place * (len(usual) - 1) / (_EXAMPLES - 1)) for place in range(_EXAMPLES)})
    shown = "\n\n".join(_example(usual[place], fitted) for place in places)
    return f"Test texts that it never saw; more are in `report.html`.\n\n{shown}"


def _example(sample: Mapping[str, Any], fitted: bool) -> str:
    wanted = sample["wanted"][0] if sample.get("wanted") else ""
    rows = [("given", sample["text"]), ("written", sample["got"] or "(nothing)"), ("wanted", wanted)]
    lines = [f"**{name}** {_line(text)}" for name, text in rows if text]
    facts = [f"ROUGE-L {sample['grade']:.2f}, {'expected' if fitted else 'score'} {sample['score']:.2f}"]
    facts += ["cut off before its end"] if sample.get("cut") else []
    for name, said in (("missing", "not said"), ("unsupported", "made up")):
        facts += [f"{said}: {cell(fact['key'])} {cell(fact['value'])}" for fact in sample.get(name) or ()]
    return "> " + "\\\n> ".join([*lines, f"*{'; '.join(facts)}*"])


def _line(text: str) -> str:
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return cell(short)


def score(fitted: bool) -> str:
    """The meaning of a score: the expected grade or, if too few texts were held out to fit it, the mean token probability."""
    return "the ROUGE-L to expect" if fitted else "the mean probability of its tokens: too few texts to fit the ROUGE-L to expect"


def how(manifest: Manifest, inputs: str, example: str) -> str:
    """How to ask it. `example`: a text like those that it learnt from."""
    short = " ".join(example.split())[:_LONGEST] or "a text"
    message = [{"role": "user", "content": short}]
    body = json.dumps({"model": manifest.name, "messages": message, "stream": True}, ensure_ascii=False)
    name, said = (json.dumps(text, ensure_ascii=False) for text in (manifest.name, short))
    return f"""In this folder's parent, with the folder's name for `DIR`. Opening it verifies the hash of every file.

```
smidgen chat DIR
smidgen predict DIR --data in.csv --out out.jsonl --input {json.dumps(inputs, ensure_ascii=False)}
smidgen serve DIR --port 8080
```

```python
import smidgen

model = smidgen.load("DIR")
for reply in model.write({said}):
    if not reply.final:
        print(reply.output, end="")
print(reply.score)  # {score(manifest.form.get("score", True) is not None)}
model.close()
```

```
curl -N http://127.0.0.1:8080/v1/chat/completions -H "Content-Type: application/json" -d {shlex.quote(body)}
```

```python
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")
answer = client.chat.completions.create(model={name}, messages=[{{"role": "user", "content": {said}}}])
print(answer.choices[0].message.content, answer.model_extra["smidgen"]["score"])
```

One message of the user is answered as it was taught; its instruction is its own, and system messages change nothing."""


def job(form: Mapping[str, Any]) -> str:
    """The purpose, in a sentence."""
    told = str(form.get("instruction") or "").strip()
    what = "It answers a text with a text, as its examples do."
    if told:
        what += f" It was told: “{cell(told)}”"
    if form.get("attributes"):
        what += " Its inputs are attributes; what it writes is checked against them."
    return f"{what} Texts should be like those it learnt from."


def limits(options: Mapping[str, Any]) -> list[str]:
    """The limits beyond those of every model."""
    lines = [
        "Facts that nobody checks. It may leave out what it was given and state what it was not; Results says how often that was seen.",
        "Conversation: it was taught to answer one message. It can be asked more, and was not measured on that.",
    ]
    if options.get("context"):
        lines.append(f"Long texts: prompt and answer together have room for {int(options['context']):,} tokens; longer ones are refused.")
    return lines
