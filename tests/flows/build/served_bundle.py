"""What holds of every bundle, whatever its task and its student."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from smidgen.cli.main import code
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.server.app import create_app


class ServedBundle:
    """Inherited as `TestServed` beside fixtures `bundle` and `rows`, a file of rows like those that it was built on.

    Attributes:
        text: one that it answers.
        tested: whether `rows` are those that its report tells of.
        heavy: what serving it never loads.
    """

    text: str
    tested = False
    heavy = frozenset({"torch", "transformers", "sklearn", "onnx", "scipy"})

    def test_every_endpoint_gives_its_answer(self, bundle: Path) -> None:
        model = load(bundle, 1)
        (reply,) = model.predict([self.text])
        assert reply.output is not None and reply.score is not None and 0 <= reply.score <= 1
        wanted = json.loads(json.dumps(reply.output))
        with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
            asked = {"model": model.name, "messages": [{"role": "user", "content": self.text}]}
            chat = client.post("/v1/chat/completions", json=asked).json()
            message = chat["choices"][0]["message"]
            assert message["content"] == model.task.content(reply)
            if not isinstance(wanted, str):
                kind = {"type": "json_object"} if model.form.json_answers else {"type": "text"}
                whole = client.post("/v1/chat/completions", json={**asked, "response_format": kind}).json()
                shown = whole["choices"][0]["message"]["content"]
                assert json.loads(shown) == json.loads(model.task.teaching.write(reply.output, model.form, self.text))
            assert message.get("refusal") is None and chat["smidgen"]["output"] == wanted
            (answer,) = client.post("/v1/classify", json={"input": [self.text]}).json()["results"]
            assert answer["output"] == wanted and answer["content"] == message["content"]
            assert client.get("/metrics").status_code == 200

    def test_what_is_measured_is_what_is_predicted_and_reported(self, bundle: Path, rows: Path, tmp_path: Path) -> None:
        model, out = load(bundle, 1), tmp_path / "out.jsonl"
        try:
            found = evaluate(model, rows)
        finally:
            model.close()
        assert found.n == len(found.replies) > 0 and found.skipped == 0
        assert {"task", "n", "metrics", "latency_ms"} <= set(found.json())
        assert code(["predict", str(bundle), "--data", str(rows), "--out", str(out), "--threads", "1"]) == 0
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert [line["output"] for line in lines] == json.loads(json.dumps([reply.output for reply in found.replies]))
        report = read(bundle / "report.json")
        assert set(found.metrics) <= set(report.metrics)
        if self.tested:
            assert {name: found.metrics[name].value for name in report.metrics if name in found.metrics} == {
                name: pytest.approx(metric.value) for name, metric in report.metrics.items() if name in found.metrics
            }

    def test_serving_loads_nothing_of_training(self, bundle: Path) -> None:
        script = f"""
import sys
from smidgen.flows.local_model import load
model = load({str(bundle)!r}, 1)
assert model.predict([{self.text!r}])[0].output
model.close()
heavy = {sorted(self.heavy)}
assert not set(heavy) & {{name.partition(".")[0] for name in sys.modules}}, sorted(sys.modules)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
