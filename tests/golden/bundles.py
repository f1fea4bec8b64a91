"""Bundles and certificates for the golden transcripts, written by their documented formats alone: nothing of smidgen is imported.

A bundle here is a linear classifier over a few words, so that its answers are known by hand. Certificates are signed with a key made from
a fixed text, and last from 2020 to 2099: ids, hashes and signatures are the same in every run, on every day.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LABELS = ("billing/charge", "billing/refund", "shipping")
WORDS: Mapping[str, tuple[float, float, float]] = {
    "charge": (6.0, 0.0, 0.0),
    "invoice": (5.0, 0.0, 0.0),
    "refund": (0.0, 6.0, 0.0),
    "money": (0.0, 3.5, 0.0),
    "parcel": (0.0, 0.0, 6.0),
    "late": (0.0, 0.0, 3.0),
    "perhaps": (0.0, 0.5, 0.0),
}
"""For each word the logits of the labels. A text with one of them has just these: `refund` scores 0.995, `money` 0.943, `late` 0.909,
`perhaps` 0.452."""
THRESHOLD = 0.92
_BEGINS, _ENDS, _SINGLE, _SECOND = 1, 3, 4, 8
"""Tags: the first word of something of the first kind, its last word, a single one; a single one of the second kind."""
FOUND: Mapping[str, tuple[int, float]] = {
    "lamp": (_SINGLE, 14.0),
    "table": (_SINGLE, 6.5),
    "refund": (_SECOND, 14.0),
    "send": (_SECOND, 14.0),
}
"""For each word its tag, and how sure it is."""
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"thing": {"type": ["string", "null"]}, "wish": {"type": ["string", "null"], "enum": ["refund", "send", None]}},
    "required": ["thing", "wish"],
}
_SIGNER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"smidgen golden transcripts").digest())
_STRANGER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key that nobody trusts").digest())


def write_home(home: Path) -> None:
    """A home that trusts the certificates' key."""
    trusted = home / "keys" / "trusted"
    trusted.mkdir(parents=True)
    public = _SIGNER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (trusted / "golden.pub").write_bytes(public)


def write_bundle(folder: Path, form: Mapping[str, Any] | None = None, bias: float = 0.0) -> Path:
    """A bundle that is called as its folder. `form` changes what its manifest says of its answers; `bias` is added to all logits."""
    tensors = {
        "weight": np.ascontiguousarray(np.array(list(WORDS.values()), dtype=np.float32).T),
        "bias": np.full(len(LABELS), bias, dtype=np.float32),
        "words.idf": np.ones(len(WORDS), dtype=np.float32),
        "letters.idf": np.zeros(0, dtype=np.float32),
    }
    terms = {"words": list(WORDS), "letters": []}
    whole = {"labels": list(LABELS), "multi_label": False, "temperature": 1.0, "seed": 0, **(form or {})}
    return _write(folder, ("classify", "intent", "accuracy"), whole, "linear", {"terms.json": terms}, tensors)


def write_finder(folder: Path, fields: bool = False) -> Path:
    """A bundle that finds things and wishes, as spans or as fields: `lamp` is a thing, `table` may be one, `refund` is a wish."""
    ways = [
        {"kind": "text", "ways": [["same"]], "shapes": {}, "list": False, "distinct": True},
        {"kind": "words", "values": ["refund", "send"], "list": False, "distinct": True},
    ]
    filled = {
        "schema": SCHEMA,
        "derived": False,
        "instruction": "Read the message and answer with these fields as JSON.",
        "tagged": {"kinds": ["thing", "wish"], "ways": ways, "choices": [], "threshold": 0.5},
        "temperature": 1.0,
        "shift": 0.0,
    }
    return _write_lexical(folder, ["thing", "wish"], FOUND, filled if fields else None)


def write_names(folder: Path) -> Path:
    """A bundle that finds one person: Jane Roe. The one that comes with smidgen is taught anew now and then, and finds more or less."""
    return _write_lexical(folder, ["person"], {"jane": (_BEGINS, 14.0), "roe": (_ENDS, 14.0)})


def _write_lexical(folder: Path, kinds: list[str], words: Mapping[str, tuple[int, float]], form: Mapping[str, Any] | None = None) -> Path:
    """A bundle that finds these words: for each its tag, and how sure it is. `form`: by default that of spans."""
    tags = 1 + 4 * len(kinds)
    weight = np.zeros((len(words) + 1, tags), dtype=np.float32)
    weight[0, 0] = 6.0  # any other word is nothing
    for place, (tag, sure) in enumerate(words.values(), 1):
        weight[place, tag] = sure
    tensors = {"weight": weight, "transitions": np.zeros((tags, tags), dtype=np.float32)}
    table = {"features": ["bias", *(f"w={word}" for word in words)], "names": {}, "level": "words"}
    spans = {"kinds": kinds, "only": False, "span_slope": 1.0, "span_shift": 0.0, "threshold": 0.5, "temperature": 1.0, "shift": 0.0}
    return _write(folder, ("extract", "found", "f1"), form or spans, "lexical", {"features.json": table}, tensors)


def _write(
    folder: Path, task: tuple[str, str, str], form: Mapping[str, Any], engine: str, table: Mapping[str, Any], tensors: Mapping[str, Any]
) -> Path:
    """The files, and the manifest with their hashes. `task`: its name, the column of its answers, its first metric."""
    folder.mkdir(parents=True)
    (folder / f"{engine}.safetensors").write_bytes(_tensors(tensors))
    for name, content in table.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    files = [*table, f"{engine}.safetensors"]
    manifest: dict[str, Any] = {
        "format_version": 1,
        "name": folder.name,
        "created": "2026-01-01T00:00:00+00:00",
        "smidgen_version": "0.1.0",
        "task": task[0],
        "form": form,
        "engine": {"engine": engine, "files": files, "options": {}, "method": "fp32"},
        "columns": {"input": "text", "label": task[1]},
        "files": {name: _entry((folder / name).read_bytes()) for name in files},
        "base": None,
        "data": {"sha256": "0" * 64, "rows": {}, "licence": "unknown"},
        "licences": [],
        "student": engine,
        "settings": {},
        "metrics": {},
        "headline": task[2],
        "seal": "",
    }
    manifest["seal"] = hashlib.sha256(_canonical(manifest)).hexdigest()
    (folder / "smidgen.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return folder


def _tensors(tensors: Mapping[str, Any]) -> bytes:
    """A file of safetensors with these arrays of 32-bit floats: the length of its head, the head as JSON, the numbers."""
    head, content = dict[str, Any](), b""
    for name, values in sorted(tensors.items()):
        raw = values.astype("<f4").tobytes()
        head[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(content), len(content) + len(raw)]}
        content += raw
    told = json.dumps(head, separators=(",", ":")).encode("ascii")
    told += b" " * (-len(told) % 8)
    return struct.pack("<Q", len(told)) + told + content


def certify(folder: Path, /, *, stranger: bool = False, edited: bool = False, **changes: Any) -> str:
    """Put a certificate beside a bundle; returns its id. `stranger`: signed by a key that nobody trusts; `edited`: after it was signed."""
    sha256 = hashlib.sha256(_canonical(json.loads((folder / "smidgen.json").read_text(encoding="utf-8")))).hexdigest()
    certificate: dict[str, Any] = {
        "format_version": 1,
        "id": hashlib.sha256(f"certificate of {folder.name}".encode()).hexdigest()[:32],
        "statement": "of the requests answered locally, at most α = 0.05 disagree with the reference.",
        "bundle": {"name": folder.name, "id": sha256[:12], "sha256": sha256, "base_sha256": None},
        "task": "classify",
        "loss": "the answer is not the reference's",
        "reference": {"kind": "gold", "judge": None},
        "alpha": 0.05,
        "delta": 0.05,
        "counts": "requests",
        "by": "",
        "answering": [answering()],
        "method": "fixed-sequence testing; exact binomial (Clopper–Pearson)",
        "calibration": {"file_sha256": "1" * 64, "rows_sha256": "2" * 64, "n": 2000, "left_out": 0, "unusable": 0},
        "created": "2020-01-01T00:00:00Z",
        "valid_until": "2099-01-01T00:00:00Z",
        "unchecked": [],
        "smidgen_version": "0.1.0",
        **changes,
    }
    signer = _STRANGER if stranger else _SIGNER
    certificate["key"] = _base64(signer.public_key().public_bytes_raw())
    certificate["signature"] = _base64(signer.sign(_canonical(certificate)))
    if edited:
        certificate["alpha"] = 0.04
    paper = folder.parent / f"{folder.name}.certificate.json"
    paper.write_text(json.dumps(certificate, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return str(certificate["id"])


def answering(segment: str = "") -> dict[str, Any]:
    """What a certificate answers of a segment."""
    return {"segment": segment, "threshold": THRESHOLD, "n": 1000, "answered": 500, "loss": 10.0, "bound": 0.04}


def revoke(bundle: Path, certificate: str) -> None:
    """Put a record of its revocation beside a bundle."""
    entry = {"certificate": certificate, "reason": "a secret reason", "sample": "", "at": "2026-02-01T00:00:00Z"}
    record = {"format_version": 1, "revoked": [entry]}
    (bundle.parent / f"{bundle.name}.revocations.json").write_text(json.dumps(record), encoding="utf-8")


def _entry(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _canonical(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
