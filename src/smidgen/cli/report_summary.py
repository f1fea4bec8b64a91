"""A summary of a report for the terminal, at most one and a half screens long. The whole report is `report.html`."""

from __future__ import annotations

from rich.markup import escape

from smidgen.cli.screen import out, plain_table
from smidgen.core.conversations import too_few
from smidgen.core.quantities import in_unit
from smidgen.judge import page, wording
from smidgen.judge.report import Report
from smidgen.judge.sections import BuildAlternative, Filling, Measured, WrittenSample

_PAIRS = 5
_MISTAKES = 5
_FILLINGS = 3
_LONGEST = 90
_LONGER = 240


def print_report(report: Report) -> None:
    """Print a report's summary on stdout. Sections that were not measured are left out."""
    if report.graded:
        _print_texts(report)
        _teacher(report)
        return
    _headline(report)
    _teacher(report)
    _alternatives(report, wording.plain(report.headline))
    _scores(report)
    _unknown(report)
    _confusions(report)
    _fields(report)
    _mistakes(report)


def _print_texts(report: Report) -> None:
    """Print the summary of a model that writes texts."""
    metric, measure = report.metrics.get(report.headline), wording.measure(report.headline)
    out.print()
    if metric is not None:
        out.print(f"[bold]{measure} {metric.value:.3f}[/]  (95 %: {wording.span(report.headline, metric)}, {metric.n:,} test texts)")
        _say_if_few(report)
    rest = [
        f"{wording.name(name, report.headline)} {wording.amount(name, other.value)}"
        for name, other in wording.ordered(report)
        if name != report.headline
    ]
    if rest:
        out.print(escape(", ".join(rest)))
    out.print(escape(wording.verdict(report)[1]))
    if report.parity is not None:
        parity = report.parity
        worth = f"{measure} changed by {wording.moved(parity.change.value)}"
        out.print(f"served as trained: {parity.agreement.value:.1%} of {parity.n:,} texts to the letter, {worth}")
    _alternatives(report, measure)
    lines = [wording.alone(report)] if wording.alone(report) else []
    if report.calibration is not None and report.calibration.ece_after is not None:
        lines.insert(0, f"{wording.score(report)} It is off from the mean {measure} by {report.calibration.ece_after:.3f} on average.")
    _section("What a score is worth", lines)
    usual = page.usual(report.samples)
    shown = (usual[1:3] or usual) + page.weakest(report.samples)[:1]
    _section("Side by side", [_sample(sample, measure, wording.scored(report)) for sample in shown])


def _sample(sample: WrittenSample, measure: str, scored: str) -> str:
    lines = [_short(sample.text, _LONGER), f"wrote   {_short(sample.got, _LONGER) or '(nothing)'}"]
    lines += [f"wanted  {_short(sample.wanted[0], _LONGER)}"] if sample.wanted else []
    facts = [f"{measure} {sample.grade:.2f}, {scored} {sample.score:.2f}", *(["cut off"] if sample.cut else [])]
    facts += [f"not said: {fact.key} {fact.value}" for fact in sample.missing]
    facts += [f"made up: {fact.key} {fact.value}" for fact in sample.unsupported]
    return "\n  ".join([*lines, "; ".join(facts)])


def _headline(report: Report) -> None:
    metric = report.metrics.get(report.headline)
    out.print()
    if metric is not None and (few := too_few(report.headline, metric.n)):
        out.print(f"[yellow]{few[0]}[/] {few[1]}", soft_wrap=True)
        return
    if metric is not None:
        out.print(f"[bold]{escape(report.headline)} {metric.value:.1%}[/]  (95 %: {_interval(metric)}, {metric.n:,} test rows)")
        _say_if_few(report)
    rest = [
        f"{name} {in_unit(other.value, report.units.get(name, ''))}" for name, other in report.metrics.items() if name != report.headline
    ]
    if rest:
        out.print(escape(", ".join(rest)))
    baseline = report.baseline
    if baseline is not None and report.student.kind == baseline.name:
        out.print("this is the baseline itself, as asked for")
    elif baseline is not None and report.headline in baseline.metrics:
        line = f"baseline {escape(baseline.name)}: {baseline.metrics[report.headline].value:.1%}"
        if baseline.change is not None:
            change = baseline.change
            line += f"; the model is {100 * change.value:+.1f} points ({100 * change.low:+.1f} to {100 * change.high:+.1f})"
            if change.low <= 0 and report.data.made:
                line += ": these questions were made by rules from the documents' own words, so they cannot tell which is better"
            elif change.high < 0:
                line += f": {wording.other_name(baseline.name)} is better"
            elif change.low <= 0 and change.high - change.low > 0.04:
                line += ": too few test rows to tell them apart"
            elif change.low <= 0:
                line += f", which chance may explain: {wording.other_name(baseline.name)} may be all you need"
        out.print(line)
    if report.parity is not None:
        parity = report.parity
        moved = 100 * parity.change.value
        lost = f"{parity.metric} changed by {moved:+.2f} points" if moved else f"{parity.metric} did not change"
        out.print(f"served as trained: {parity.agreement.value:.1%} of {parity.n:,} answers agree, {lost}")
        if parity.packing is not None:
            packed = f"{100 * parity.packing.value:+.2f} points"
            out.print(f"packed: {packed} against the weights as trained in the same engine, both held to the schema")


def _teacher(report: Report) -> None:
    teacher = report.teacher
    if teacher is None:
        return
    lines = []
    if teacher.quality is not None:
        lines.append(
            f"its {teacher.unit} on {teacher.quality.n:,} of your training rows, not the test rows: {teacher.quality.value:.1%} "
            f"({_interval(teacher.quality)})"
        )
    if teacher.pool:
        changed = f", {teacher.corrected:,} with another label than it gave" if teacher.corrected else ""
        lines.append(f"{teacher.kept:,} of {teacher.pool:,} unlabelled inputs learnt from{changed}")
    if teacher.generated:
        lines.append(f"{teacher.generated_kept:,} of {teacher.generated:,} new examples learnt from")
    lines += [f"left out: {count:,}, {reason}" for reason, count in {**teacher.dropped, **teacher.generated_dropped}.items()]
    if teacher.questions or teacher.stored:
        dollars = f", {teacher.usd:.2f} dollars" if teacher.usd is not None else ""
        stored = f" and {teacher.stored:,} answers of earlier runs" if teacher.stored else ""
        lines.append(f"{teacher.questions:,} requests{stored}: {teacher.tokens_in + teacher.tokens_out:,} tokens{dollars}")
    _section(f"Taught by {teacher.model or teacher.source}", lines)


def _say_if_few(report: Report) -> None:
    """Warn if the headline metric is based on few rows, and say how to get a better one."""
    if said := wording.note_on_test(report):
        out.print(f"[yellow]few test rows:[/] {escape(said)}", soft_wrap=True)


def _alternatives(report: Report, measure: str = "accuracy") -> None:
    """Print the table of models that could have been built instead, and the reason for this one."""
    if not report.alternatives:
        return
    writes = wording.known(report.headline)
    speed = "tokens/s" if writes else "texts/s"
    table = plain_table("", "model", measure, "ms/text", speed, "MB", "trained", "", right=range(2, 7))
    for alternative in report.alternatives:
        mark = "[green]→[/]" if alternative.chosen else ""
        style = "bold" if alternative.chosen else ""
        why = "[dim]" + escape(alternative.why_not) + "[/]" if alternative.why_not else "[green]chosen[/]" if alternative.chosen else ""
        table.add_row(mark, escape(alternative.name), *_numbers(alternative, report.graded, writes), why, style=style)
    out.print()
    out.print(table)
    compared = next((one.accuracy for one in report.alternatives if one.chosen), None)
    tested = report.metrics.get(report.headline)
    if compared is not None and tested is not None and compared.n < tested.n:
        out.print(f"[dim]compared on {compared.n} of the {tested.n} test texts[/]")
    if report.student.chosen_because:
        out.print(f"[dim]{escape(report.student.chosen_because)}[/]")


def _numbers(alternative: BuildAlternative, graded: bool, writes: bool) -> tuple[str, str, str, str, str]:
    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return (
        number(alternative.accuracy.value, ".3f" if graded else ".1%") if alternative.accuracy else "",
        number(alternative.latency_ms_p50, ",.0f" if writes else ".2f"),
        number(alternative.tokens_per_second if writes else alternative.texts_per_second, ",.0f"),
        number(alternative.size_mb, ".1f"),
        f"{alternative.seconds:.0f} s" if alternative.seconds is not None else "",
    )


def _scores(report: Report) -> None:
    metric = report.metrics.get(report.headline)
    if metric is not None and too_few(report.headline, metric.n):
        return
    lines = []
    calibration = report.calibration
    if calibration is not None and calibration.ece_after is not None:
        before = f" (before calibration {calibration.ece_before:.3f})" if calibration.ece_before is not None else ""
        worse = calibration.ece_before is not None and calibration.ece_after > calibration.ece_before
        note = "; calibration, fitted on other rows, did not help on these" if worse else ""
        lines.append(f"scores are off by {calibration.ece_after:.3f} on average{before}{note}")
    if report.risk_coverage is not None:
        points = {at.point.threshold: (at.wanted, at.point) for at in reversed(report.risk_coverage.at) if at.point is not None}
        if not points:
            lines.append("no score is shown to keep errors under 5% on these test rows: pass nothing on its score alone")
        lines += [
            f"{point.coverage:.0%} of texts can be answered with at most {wanted:.0%} errors: those that score over {point.threshold:.2f}"
            for wanted, point in reversed(points.values())
        ]
    _section("What a score is worth", lines)


def _unknown(report: Report) -> None:
    unknown = report.unknown
    if unknown is None:
        if report.confusion is not None and not report.closed:  # with several labels per text there may be none
            label = "out_of_scope"
            _section("Out of scope", [f"every text gets one of the labels, however strange; to change that, add rows labelled {label}"])
        return
    lines = []
    if unknown.oos_recall is not None:
        lines.append(f"{unknown.oos_recall.value:.1%} ({_interval(unknown.oos_recall)}) of out-of-scope texts are recognised")
    if unknown.in_scope_accuracy is not None:
        lines.append(f"{unknown.in_scope_accuracy.value:.1%} ({_interval(unknown.in_scope_accuracy)}) of in-scope texts are answered right")
    _section(f"Out of scope, answered with {unknown.label!r}", lines)


def _confusions(report: Report) -> None:
    lines = [f"{pair.gold} → {pair.predicted}: {pair.count} ({pair.share:.0%} of its rows)" for pair in report.confusion_pairs[:_PAIRS]]
    _section("Most confused", lines)


def _fields(report: Report) -> None:
    """For a model that fills in fields, print the F1 of each field, and a few texts side by side."""
    if not report.fillings:
        return
    scores = [f"{row.label}: {row.f1.value:.1%} ({_interval(row.f1)}), {row.support} values" for row in report.per_class if row.f1]
    _section("F1 of each field", scores)
    shown = report.fillings[:: max(1, len(report.fillings) // _FILLINGS)][:_FILLINGS]
    _section("Side by side", [_filling(entry) for entry in shown])


def _filling(entry: Filling) -> str:
    width = max((len(field.name) for field in entry.fields), default=0)
    lines = [f"“{_short(entry.text, _LONGER)}” ({f'{entry.score:.0%} sure' if not entry.refused else 'refused: ' + entry.refused})"]
    for field in entry.fields:
        got = field.wanted if field.right else f"{field.got or 'nothing'}, wanted {field.wanted or 'nothing'}"
        lines.append(f"{'✓' if field.right else '✗'} {field.name:<{width}}  {got}")
    return "\n    ".join(lines)


def _mistakes(report: Report) -> None:
    lines = []
    for mistake in report.mistakes[:_MISTAKES]:
        why = f"  ({mistake.why})" if mistake.why else ""
        lines.append(f"“{_short(mistake.text)}”\n  {mistake.gold}, answered {mistake.answer} ({mistake.score:.0%}){why}")
    _section("Errors worth reading", lines)


def _section(title: str, lines: list[str]) -> None:
    """Print a title and its lines; nothing without lines."""
    if lines:
        out.print(f"\n[bold]{escape(title)}[/]")
        for line in lines:
            out.print(f"[dim]·[/] {escape(line)}")


def _interval(metric: Measured) -> str:
    return f"{metric.low:.1%} to {metric.high:.1%}"


def _short(text: str, longest: int = _LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
