"""The model card: the bundle's README.md, generated from the manifest and the report, so that it states only measured facts."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.bundles.manifest import Manifest
from smidgen.core.conversations import too_few
from smidgen.core.forms import Form
from smidgen.parts import registry
from smidgen.text.rouge_chrf import METRIC_NAMES, SHARE_METRICS

NOT_MEASURED = "not measured"


def cell(value: object) -> str:
    """An outside value (a label, a file's name) as the text of a table's cell or a line, with all markup escaped."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    for sign in "\\`*_[]|#~":
        text = text.replace(sign, "\\" + sign)
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column aligned left, the rest right. Cells are Markdown already."""
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def share(found: Mapping[str, Any] | None) -> str:
    """A measured share with its 95 % interval: `94.1 % (93.2–94.9)`."""
    return _interval(found, 100, 1, " %")


def grade(found: Mapping[str, Any] | None) -> str:
    """A measured grade in 0..1 with its 95 % interval: `0.683 (0.671–0.694)`."""
    return _interval(found, 1, 3, "")


def in_unit(found: Mapping[str, Any] | None, unit: str) -> str:
    """A measured number of this unit with its 95 % interval, `0.190 stars (0.095–0.286)`; without a unit it is a share."""
    return _interval(found, 1, 3, f" {cell(unit)}") if unit else share(found)


def _interval(found: Mapping[str, Any] | None, scale: float, digits: int, unit: str) -> str:
    if not found or found.get("value") is None:
        return NOT_MEASURED
    value = f"{scale * found['value']:.{digits}f}{unit}"
    if found.get("low") is None or found.get("high") is None:
        return value
    return f"{value} ({scale * found['low']:.{digits}f}–{scale * found['high']:.{digits}f})"


def number(value: float | None, unit: str = "", digits: int = 1) -> str:
    """A number with its unit and thousands separators."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.{digits}f} {unit}".rstrip()


def percent(value: float | None, digits: int = 1) -> str:
    """A share in 0..1 as a percentage."""
    return NOT_MEASURED if value is None else f"{100 * value:.{digits}f} %"


Report = Mapping[str, Any]

_LABELS_SHOWN = 200
_PAIRS_SHOWN = 15
_SOURCES = {"original": "of the first version", "data": "given later", "upstream": "a large model's", "human": "people's"}
_HUB_METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "micro_f1": "f1", "rougeL": "rouge"}


def model_card(manifest: Manifest, form: Form, report: Report) -> str:
    """The card in Markdown, with the YAML front matter that model hubs read.

    Args:
        manifest: of the bundle; its `files` may still be empty.
        form: that of the manifest.
        report: `report.json` as a dict. Any part of it may be missing or None: the card then says "not measured".
    """
    answers = (
        [
            _section("Examples", _examples(report.get("samples") or (), _headline(manifest, report), _fitted(report))),
            _section("Calibration", _calibration(manifest, report)),
        ]
        if report.get("graded")
        else [
            _section("Labels", _per_class(report)),
            _section("What it confuses", _confusions(report)),
            _section("Calibration", _calibration(manifest, report)),
            _section("Out of scope", _out_of_scope(report)),
        ]
    )
    sections = [
        _front_matter(manifest, form),
        f"# {cell(manifest.name)}",
        _opening(manifest, report),
        _section("What it is for", form.purpose(cell) or f"The task `{cell(manifest.task)}`, on texts like those it learnt from."),
        _section("What it is not for", _not_for(manifest, form, report)),
        _section("Data", _data(manifest, report)),
        _section("Base and licences", _licences(manifest)),
        _section("Results", _results(manifest, report)),
        *answers,
        _section("Size and speed", _speed(manifest, report)),
        _section("Training", _training(manifest, report)),
        _section("How to use it", _how(manifest, form, report)),
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _part(report: Report, name: str) -> Mapping[str, Any]:
    found = report.get(name)
    return found if isinstance(found, Mapping) else {}


def _front_matter(manifest: Manifest, form: Form) -> str:
    licences = sorted({entry.licence for entry in manifest.licences}) or ([manifest.base.licence] if manifest.base else [])
    one = licences[0].lower() if len(licences) == 1 and licences[0] != "unknown" else "other"
    facts: dict[str, Any] = {"license": one}
    if one == "other":
        facts["license_name"] = " and ".join(licences) or "unknown"
    language = manifest.settings.get("language")
    if language:
        facts["language"] = language if isinstance(language, list) else [language]
    facts["tags"] = ["smidgen", manifest.task, *([manifest.student] if manifest.student else []), manifest.engine.engine]
    if form.pipeline:
        facts["pipeline_tag"] = form.pipeline
    if manifest.base:
        facts["base_model"] = manifest.base.name.removeprefix("hf:")
    facts["metrics"] = sorted({_HUB_METRICS[name] for name in manifest.metrics if name in _HUB_METRICS})
    # JSON is YAML: every value is written as JSON, so no text can break out.
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _opening(manifest: Manifest, report: Report) -> str:
    headline, found = _main_metric(manifest, report)
    base = f" grown from {cell(manifest.base.name)}" if manifest.base else ""
    kind = "language model" if manifest.base is not None else "model"
    rows = found.get("n") if found else None
    where = f" on {rows:,} texts it never saw" if rows else ""
    named, value = cell(headline), share(found)
    if _writes(report):
        named, value = _title(headline), _measured(headline, found)
    few = _too_few(manifest, report)
    result = " ".join(few) if few else f"Its {named}{where}: **{value}**, with the 95 % interval in brackets as everywhere below."
    return (
        f"A small {kind} for one job ({cell(manifest.task)}), of the kind `{cell(manifest.student or 'unknown')}`{base}. {result}\n\n"
        f"Built {cell(manifest.created)} by smidgen {cell(manifest.smidgen_version)}. The numbers here were measured on the very files of "
        "this folder, through the engine that serves them."
    )


def _main_metric(manifest: Manifest, report: Report) -> tuple[str, Mapping[str, Any] | None]:
    """The name of the metric that stands for the model, and the metric; None if it was not measured."""
    name = manifest.headline or str(report.get("headline", "accuracy"))
    return name, _part(report, "metrics").get(name) or (manifest.metrics[name].model_dump() if name in manifest.metrics else None)


def _too_few(manifest: Manifest, report: Report) -> tuple[str, str] | None:
    """That a desk had too few test messages for a figure, and what to do; None if there were enough, or their number is unknown."""
    name, found = _main_metric(manifest, report)
    return too_few(name, found["n"]) if found and found.get("n") else None


def _not_for(manifest: Manifest, form: Form, report: Report) -> str:
    graded = bool(report.get("graded"))
    lines = [
        f"Another job, {'' if graded else 'another set of labels, '}or another language than that of its data. It learnt this one only.",
        "Decisions about people's health, money, freedom or rights without a person who answers for them.",
        "Texts made to fool it. It was not tested against any.",
    ]
    length, context = manifest.engine.options.get("max_length"), manifest.engine.options.get("context")
    if length:
        lines.append(f"Long texts: only the first {int(length):,} tokens are read.")
    lines += form.limits
    if graded and context:
        lines.append(f"Long texts: prompt and answer together have room for {int(context):,} tokens; longer ones are refused.")
    if manifest.data is None or manifest.data.licence == "unknown":
        lines.append("Passing it on before the licence of its data is known.")
    return "\n".join(f"- {line}" for line in lines)


def _data(manifest: Manifest, report: Report) -> str:
    facts = _part(report, "data")
    digest = manifest.data.sha256 if manifest.data else facts.get("sha256")
    licence = manifest.data.licence if manifest.data else facts.get("licence", "unknown")
    counts = {
        **(manifest.data.rows if manifest.data else {}),
        **{name: facts[name] for name in ("train", "held", "cross_fitted", "test") if facts.get(name)},
    }
    names = {"train": "learnt from", "held": "kept apart to choose and calibrate", "test": "tested on"}
    names["cross_fitted"] = "calibrated by, each answered by a model that learnt from the others"
    if facts.get("refit"):
        names["held"] = "of these first kept apart, to choose and calibrate"
    if facts.get("cross_fitted"):
        names["held"] = "of these first kept apart, to choose"
    rows = [[names.get(name, cell(name)), f"{count:,} rows"] for name, count in counts.items()]
    for name, text in (("out_of_scope_train", "out-of-scope rows learnt from"), ("out_of_scope_test", "out-of-scope rows tested on")):
        if facts.get(name):
            rows.append([text, f"{facts[name]:,} rows"])
    rows += [["licence", cell(licence)], ["SHA-256 of the training data", f"`{digest}`" if digest else NOT_MEASURED]]
    if facts.get("source"):
        rows.append(["source", cell(facts["source"])])
    if facts.get("test_source"):
        rows.append(["test rows", cell(facts["test_source"])])
    return table(["data", ""], [*rows, *_lineage(manifest)])


def _lineage(manifest: Manifest) -> list[list[str]]:
    """The lineage of a line's version; empty for other bundles."""
    found = manifest.lineage
    if found is None:
        return []
    sources = ", ".join(f"{count:,} {_SOURCES.get(name, cell(name))}" for name, count in found.sources.items() if count)
    teacher = [["answered by", cell(", ".join(found.teacher))]] if found.teacher else []
    return [
        ["version before", f"`{found.parent}`" if found.parent else "none: it is the first of its line"],
        ["outputs of the rows", sources or NOT_MEASURED],
        *teacher,
        ["held out", f"{found.choosing:,} rows to choose by, {found.certifying:,} to certify on"],
    ]


def _licences(manifest: Manifest) -> str:
    if manifest.base:
        rows = [
            ["base", cell(manifest.base.name)],
            ["its licence", cell(manifest.base.licence)],
            ["its SHA-256", f"`{manifest.base.sha256}`"],
        ]
        rows += [["its source", cell(manifest.base.source)]] if manifest.base.source else []
        base = table(["pretrained weights", ""], rows)
    else:
        base = "It has no base: it learnt from its own data alone."
    chain = [[cell(entry.what), cell(entry.licence), cell(entry.source) or "–"] for entry in manifest.licences]
    return base + ("\n\n" + table(["what is in it", "licence", "source"], chain) if chain else "")


def _results(manifest: Manifest, report: Report) -> str:
    if few := _too_few(manifest, report):
        return few[0]
    own = {**{name: metric.model_dump() for name, metric in manifest.metrics.items()}, **_part(report, "metrics")}
    baseline = _part(report, "baseline")
    itself = bool(baseline) and baseline.get("name") == manifest.student
    baseline = {} if itself else baseline
    theirs = _part(baseline, "metrics")
    if _writes(report):
        beside = [base for base in (baseline, _part(report, "unchanged")) if base]
        return _writer_results(own, beside, _part(report, "parity"))
    if not own:
        return f"Results: {NOT_MEASURED}."
    head = [f"baseline ({cell(baseline.get('name') or 'none')})"] if baseline else []
    units = _part(report, "units")
    rows = [
        [cell(name), *(in_unit(found, units.get(name, "")) for found in (found, *([theirs.get(name)] if baseline else [])))]
        for name, found in own.items()
    ]
    text = table(["metric", "this model", *head], rows)
    if itself:
        text += "\n\nThis model is the simple baseline itself; no other was compared with it."
    change = _part(baseline, "change")
    if change:
        points = [f"{100 * change[name]:+.1f}" for name in ("value", "low", "high")]
        text += f"\n\nAgainst the baseline on the same rows: {points[0]} points ({points[1]} to {points[2]})."
        text += _doubt(change, "the baseline")
    parity = _part(report, "parity")
    if parity:
        same, texts = share(parity.get("agreement")), f"{parity.get('n', 0):,}"
        text += f"\n\nThe packed files answer as the trained model did on {same} of {texts} held-out texts."
        if packing := _part(parity, "packing"):
            lost = f"{100 * packing['value']:+.2f} points"
            text += f" Against the weights as they were trained, held to the schema too, packing changed the result by {lost}."
    return text


def _per_class(report: Report) -> str:
    found = report.get("per_class") or ()
    if not found:
        return f"By label: {NOT_MEASURED}."
    rows = [
        [cell(row["label"]), share(row.get("precision")), share(row.get("recall")), share(row.get("f1")), f"{row.get('support', 0):,}"]
        for row in found[:_LABELS_SHOWN]
    ]
    thing, counted = ("field", "values in the test rows") if report.get("fillings") else ("label", "test rows")
    text = table([thing, "precision", "recall", "F1", counted], rows)
    return text + (f"\n\n{len(found) - _LABELS_SHOWN:,} more {thing}s are in `report.json`." if len(found) > _LABELS_SHOWN else "")


def _confusions(report: Report) -> str:
    if report.get("confusion_pairs") is None:
        return f"Confusions: {NOT_MEASURED}."
    pairs = report["confusion_pairs"][:_PAIRS_SHOWN]
    if not pairs:
        return "No text of the test set got a wrong label."
    rows = [[cell(pair["gold"]), cell(pair["predicted"]), f"{pair['count']:,}", percent(pair.get("share"))] for pair in pairs]
    return table(["the label is", "it says", "texts", "of that label's texts"], rows)


def _fitted(report: Report) -> bool:
    """Whether scores of texts are expected grades; older reports lack the field, and their scores were."""
    return bool(_part(report, "calibration").get("fitted", True))


def _calibration(manifest: Manifest, report: Report) -> str:
    if few := _too_few(manifest, report):
        return few[0]
    facts, grade = _part(report, "calibration"), _headline(manifest, report)
    if report.get("graded"):
        off = facts.get("ece_after")
        told = NOT_MEASURED if off is None else f"{off:.3f} on average"
        what = _score(_fitted(report), grade)
        return f"The score of a text is {what}. It is 0 where the text was cut off. How far scores are off from {grade}: {told}."
    rows = [
        ["expected calibration error before", percent(facts.get("ece_before"), 2)],
        ["expected calibration error as served", percent(facts.get("ece_after"), 2)],
        ["Brier score", number(facts.get("brier"), digits=4)],
        ["temperature", number(facts.get("temperature"), digits=3)],
    ]
    return "Whether a score of 0.9 is right nine times in ten. 0 % is perfect.\n\n" + table(["calibration", ""], rows)


def _out_of_scope(report: Report) -> str:
    facts = _part(report, "unknown")
    if not facts:
        return f"What it does with texts that none of its labels fits: {NOT_MEASURED}."
    rows = [
        ["answered with", f"`{cell(facts.get('label', 'unknown'))}`"],
        ["out-of-scope texts recognised", share(facts.get("oos_recall"))],
        ["accuracy on in-scope texts", share(facts.get("in_scope_accuracy"))],
        ["threshold", number(facts.get("threshold"), digits=4)],
    ]
    how = f"{cell(facts['how'])}\n\n" if facts.get("how") else ""
    return how + table(["out of scope", ""], rows)


def _speed(manifest: Manifest, report: Report) -> str:
    facts, place = _part(report, "speed"), _part(report, "environment")
    size = facts.get("size_mb")
    if size is None and manifest.files:
        size = sum(entry.size for entry in manifest.files.values()) / 1e6
    batch = f"in batches of {facts['batch']}" if facts.get("batch") else "in batches"
    rows = [
        ["size", number(size, "MB")],
        ["one text, median", number(facts.get("latency_ms_p50"), "ms", 2)],
        ["one text, 99th percentile", number(facts.get("latency_ms_p99"), "ms", 2)],
        [batch, number(facts.get("texts_per_second"), "texts a second", 0 if (facts.get("texts_per_second") or 0) >= 20 else 1)],
        *_tokens(facts, batch),
        ["peak memory", number(facts.get("peak_memory_mb"), "MB", 0)],
        ["engine and method", f"{cell(manifest.engine.engine)}, {cell(manifest.engine.method)}"],
    ]
    threads = facts.get("threads") or place.get("threads")
    where = f"\n\nMeasured on {cell(place.get('cpu') or 'a processor not named')}" + (f" with {threads} threads." if threads else ".")
    return table(["size and speed", ""], rows) + where


def _tokens(facts: Mapping[str, Any], batch: str) -> list[list[str]]:
    """The writing speed of a model; empty for one that does not write."""
    if facts.get("tokens_per_second") is None:
        return []
    rows = [["writing one text", number(facts["tokens_per_second"], "tokens a second", 0)]]
    if facts.get("tokens_per_second_batched") is not None:
        rows.append([f"writing {batch}", number(facts["tokens_per_second_batched"], "tokens a second", 0)])
    return rows


def _training(manifest: Manifest, report: Report) -> str:
    facts = _part(report, "training")
    energy = number(facts.get("energy_wh"), "Wh", 2)
    method = f" ({cell(facts['energy_method'])})" if facts.get("energy_method") else ""
    rows = [
        ["time", number(facts.get("seconds"), "s", 0)],
        ["energy", energy + method],
        ["on", cell(facts.get("device") or NOT_MEASURED)],
        ["seed", str(_part(report, "environment").get("seed", "not recorded"))],
    ]
    student = _part(report, "student")
    if student.get("guide"):
        rows.append(
            ["guided by", f"{cell(student['guide'])}, whose chances of every token it learnt; SHA-256 `{student.get('guide_sha256')}`"]
        )
    rows += [[cell(name), cell(value)] for name, value in sorted(manifest.settings.items())]
    again = f"\n\nTo build it again:\n\n```\n{report['command']}\n```" if report.get("command") else ""
    return table(["training", ""], rows) + again


def _how(manifest: Manifest, form: Form, report: Report) -> str:
    columns = manifest.columns.input
    inputs = columns if isinstance(columns, str) else ",".join(columns)
    if _writes(report):
        usual = [sample["text"] for sample in report.get("samples") or () if not sample.get("weak")]
        return _how_of_writer(manifest, form, inputs, min(usual, key=len, default=""))
    model = json.dumps(manifest.name, ensure_ascii=False)
    body = {"model": manifest.name, "input": ["a text", "another"]}
    return f"""In this folder's parent, with the folder's name for `DIR`. Opening it verifies the hash of every file.

```
smidgen predict DIR --data in.csv --out out.jsonl --input {json.dumps(inputs, ensure_ascii=False)}
smidgen serve DIR --port 8080
```

```python
import smidgen

model = smidgen.load("DIR")
for reply in model.predict(["a text", "another"]):
    print(reply.output, reply.score)
```

```
curl http://127.0.0.1:8080/v1/classify -H "Content-Type: application/json" -d {shlex.quote(json.dumps(body, ensure_ascii=False))}
```

```python
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")
answer = client.chat.completions.create(model={model}, messages=[{{"role": "user", "content": "a text"}}])
print(answer.choices[0].message.content)
```"""


_EXAMPLES = 3
_LONGEST = 600


def _title(name: str) -> str:
    """A metric's displayed name."""
    return METRIC_NAMES[name][0] if name in METRIC_NAMES else cell(name)


def _writes(report: Report) -> bool:
    """Whether the model writes texts, which are graded by their likeness to wanted ones."""
    measured = set(_part(report, "metrics"))
    return bool(report.get("graded")) and (not measured or bool(measured & set(METRIC_NAMES) - set(SHARE_METRICS)))


def _headline(manifest: Manifest, report: Report) -> str:
    """The metric that stands for the model, as it is read."""
    return _title(manifest.headline or str(report.get("headline", "accuracy")))


def _told(name: str) -> str:
    return f"{_title(name)}: {METRIC_NAMES[name][1]}" if name in METRIC_NAMES else cell(name)


def _measured(name: str, found: Mapping[str, Any] | None) -> str:
    """A metric: a share in percent, a grade with three digits."""
    return share(found) if name in SHARE_METRICS else grade(found)


def _doubt(change: Mapping[str, Any], other: str) -> str:
    """A sentence after a change that does not show this model to be better than the other; empty if it does."""
    if change["high"] < 0:
        return f" The whole interval is below zero: on this test set this model is worse than {other}."
    if change["low"] <= 0:
        return f" The interval holds zero: on this test set it is not shown that this model is better than {other}."
    return ""


def _baseline(name: str) -> str:
    """A baseline as it is read."""
    return "the input given back unchanged" if name == "unchanged" else registry.declared("students", name, "untaught") or cell(name)


def _writer_results(own: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]], parity: Mapping[str, Any]) -> str:
    """The metrics beside those of the baselines, and the effect of packing."""
    if not own:
        return f"Results: {NOT_MEASURED}."
    names = [_baseline(str(base.get("name") or "")) for base in baselines]
    rows = [
        [_told(name), _measured(name, found), *(_measured(name, (base.get("metrics") or {}).get(name)) for base in baselines)]
        for name, found in own.items()
    ]
    text = table(["metric", "this model", *(f"baseline ({name})" for name in names)], rows)
    for name, base in zip(names, baselines, strict=True):
        change = base.get("change")
        if not change:
            continue
        value, low, high = (f"{change[side]:+.3f}" for side in ("value", "low", "high"))
        text += f"\n\nAgainst the baseline ({name}) on the same rows: {value} ({low} to {high})."
        text += _doubt(change, "that")
    if parity:
        moved = f", and what they are worth changed by {parity['change']['value']:+.3f}" if parity.get("change") else ""
        text += (
            f"\n\nThe packed files write as the trained model did, to the letter, for {share(parity.get('agreement'))} of "
            f"{parity.get('n', 0):,} held-out texts{moved}."
        )
    return text


def _examples(samples: Sequence[Mapping[str, Any]], grade: str, fitted: bool) -> str:
    """A few test texts, as it writes them: the best, the middling, the worst of those that show what is usual."""
    usual = sorted((sample for sample in samples if not sample.get("weak")), key=lambda sample: -sample["grade"])
    if not usual:
        return f"Examples: {NOT_MEASURED}."
    places = sorted({round(place * (len(usual) - 1) / (_EXAMPLES - 1)) for place in range(_EXAMPLES)})
    shown = "\n\n".join(_example(usual[place], grade, fitted) for place in places)
    return f"Test texts that it never saw; more are in `report.html`.\n\n{shown}"


def _example(sample: Mapping[str, Any], grade: str, fitted: bool) -> str:
    wanted = sample["wanted"][0] if sample.get("wanted") else ""
    rows = [("given", sample["text"]), ("written", sample["got"] or "(nothing)"), ("wanted", wanted)]
    lines = [f"**{name}** {_line(text)}" for name, text in rows if text]
    facts = [f"{grade} {sample['grade']:.2f}, {'expected' if fitted else 'score'} {sample['score']:.2f}"]
    facts += ["cut off before its end"] if sample.get("cut") else []
    for name, said in (("missing", "not said"), ("unsupported", "made up")):
        facts += [f"{said}: {cell(fact['key'])} {cell(fact['value'])}" for fact in sample.get(name) or ()]
    return "> " + "\\\n> ".join([*lines, f"*{'; '.join(facts)}*"])


def _line(text: str) -> str:
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return cell(short)


def _score(fitted: bool, grade: str) -> str:
    """The meaning of a score: the expected grade or, if too few texts were held out to fit it, the mean token probability."""
    return f"the {grade} to expect" if fitted else f"the mean probability of its tokens: too few texts to fit the {grade} to expect"


def _how_of_writer(manifest: Manifest, form: Form, inputs: str, example: str) -> str:
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
print(reply.score)  # {_score(form.fitted, _headline(manifest, {}))}
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
