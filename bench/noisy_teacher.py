"""A teacher whose error rate is known: an OpenAI-compatible server that gives the right label but for a share of the texts.

python -m bench.noisy_teacher --rows gold.csv --noise 0.09 --seed 0 --port 8099
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NEAREST = 3


def main() -> None:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True, help="CSV with the columns text and category")
    parser.add_argument("--noise", type=float, required=True, help="share of the texts that get a wrong label")
    parser.add_argument("--kind", choices=("random", "likely"), default="random", help="any wrong label, or one of the three likeliest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    with given.rows.open(encoding="utf-8", newline="") as stream:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(stream)]
    serve(answers(rows, given.noise, given.kind, given.seed), given.port)


def answers(rows: list[tuple[str, str]], noise: float, kind: str, seed: int) -> dict[str, str]:
    """The answer to each text. Which texts are answered wrongly, and how, depends on the seed and the text alone: asking again, or more
    often, brings no better answer."""
    labels = sorted({label for _, label in rows})
    near = nearest_labels(rows, labels) if kind == "likely" else None
    found = {}
    for number, (text, label) in enumerate(rows):
        draw = random.Random(f"{seed}-{text}")
        if draw.random() >= noise:
            found[text] = label
        else:
            found[text] = draw.choice(near[number] if near else [other for other in labels if other != label])
    return found


def nearest_labels(rows: list[tuple[str, str]], labels: list[str]) -> list[list[str]]:
    """For each text the wrong labels whose texts share most words with it."""
    import numpy as np

    from smidgen.data.teacher.prompts import bag_of_words

    vectors = bag_of_words([text for text, _ in rows])
    index = {label: number for number, label in enumerate(labels)}
    gold = np.array([index[label] for _, label in rows])
    rare = np.log(len(rows) / (1 + (vectors > 0).sum(axis=0)))
    means = np.stack([vectors[gold == number].mean(axis=0) for number in range(len(labels))])
    scores = (vectors * rare) @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    scores[np.arange(len(rows)), gold] = -np.inf
    return [[labels[place] for place in np.argsort(-row)[:NEAREST]] for row in scores]


def serve(known: dict[str, str], port: int) -> None:
    """Answer the last message of each conversation."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._send({"ready": True})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            texts = [message["content"] for message in body["messages"]]
            answer = known.get(texts[-1], "I do not know this text.")
            usage = {"prompt_tokens": sum(len(text) // 4 + 4 for text in texts), "completion_tokens": len(answer) // 4 + 1}
            choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
            self._send({"object": "chat.completion", "model": body.get("model"), "choices": [choice], "usage": usage})

        def _send(self, value: dict) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
