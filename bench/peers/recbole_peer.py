"""SASRec of the package RecBole, with RecBole's own settings, on the rows in a folder; stopped early by the held-out rows.

python recbole_peer.py FOLDER MINUTES: reads fit.jsonl, held.jsonl and test.jsonl, writes recbole.json. MINUTES bounds the teaching: what
was best on the held-out rows by then counts, and the settings say how many epochs there were. A run that was stopped goes on from its last
whole epoch.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

FIRST, LONGEST = 10, 20
"""LONGEST: the latest items of a history that are read. A history has nine items in the mean; fifty places take three times as long."""
NAME = "purchases"


class OutOfTime(Exception):
    """The bound on teaching is reached."""


def read(file: Path) -> list[tuple[list[str], str]]:
    """Histories with their next items."""
    return [tuple(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def write(rows: list[tuple[list[str], str]], file: Path) -> None:
    """RecBole's own file format: a customer, a history, the next item."""
    lines = ["user_id:token\titem_id_list:token_seq\titem_id:token"]
    lines += [f"{number}\t{' '.join(history[-LONGEST:])}\t{item}" for number, (history, item) in enumerate(rows) if history]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def grown(rows: list[tuple[list[str], str]]) -> list[tuple[list[str], str]]:
    """Every beginning of every history with what came next, as RecBole makes of sequences."""
    whole = [[*history, item] for history, item in rows]
    return [(items[:place], items[place]) for items in whole for place in range(1, len(items))]


def settings(folder: Path) -> Config:
    """RecBole's own settings of SASRec and of training, the data, and what is measured on the held-out rows."""
    given = {
        "data_path": str(folder / "recbole"),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id_list", "item_id"]},
        "alias_of_item_id": ["item_id_list"],
        "MAX_ITEM_LIST_LENGTH": LONGEST,
        "train_neg_sample_args": None,
        "metrics": ["NDCG"],
        "valid_metric": f"NDCG@{FIRST}",
        "checkpoint_dir": str(folder / "recbole" / "saved"),
        "show_progress": False,
        "use_gpu": False,
        "log_wandb": False,
    }
    sys.argv = sys.argv[:1]  # RecBole reads the command line, too
    return Config(model="SASRec", dataset=NAME, config_dict=given)


def gains(model, dataset, rows: list[tuple[list[str], str]]) -> np.ndarray:
    """The worth of the wanted item's place among the first ten; what the customer has is no candidate. 0 for an item never taught."""
    ids = dataset.field2token_id["item_id"]
    model.eval()
    found = []
    for start in range(0, len(rows), 512):
        part = rows[start : start + 512]
        known = [[ids[item] for item in history if item in ids] for history, _ in part]
        asked = torch.zeros(len(part), LONGEST, dtype=torch.long)
        lengths = torch.ones(len(part), dtype=torch.long)
        for row, history in enumerate(known):
            latest = history[-LONGEST:]
            asked[row, : len(latest)] = torch.tensor(latest, dtype=torch.long)
            lengths[row] = max(1, len(latest))
        with torch.no_grad():
            scores = model.full_sort_predict(Interaction({"item_id_list": asked, "item_length": lengths})).view(len(part), -1).numpy()
        scores[:, 0] = -np.inf
        for row, history in enumerate(known):
            scores[row, history] = -np.inf
        wanted = np.array([ids.get(item, 0) for _, item in part])
        own = scores[np.arange(len(part)), wanted]
        rank = (scores > own[:, None]).sum(axis=1)
        found.append(np.where((rank < FIRST) & np.isfinite(own), 1 / np.log2(rank + 2.0), 0.0))
    return np.concatenate(found)


class Sitting:
    """Teaching that may be stopped and taken up again: after every epoch its state is kept in a file, bound to the rows it learns from."""

    def __init__(self, file: Path, rows: str, trainer) -> None:
        self.file, self.rows, self.trainer = file, rows, trainer
        self.curve: list[float] = []
        self.seconds, self.best = 0.0, None
        if file.is_file():
            kept = torch.load(file, weights_only=True)
            if kept["rows"] == rows:
                self.curve, self.seconds, self.best = kept["curve"], kept["seconds"], kept["best"]
                trainer.model.load_state_dict(kept["model"])
                trainer.optimizer.load_state_dict(kept["optimizer"])
                trainer.start_epoch, trainer.cur_step, trainer.best_valid_score = len(self.curve), kept["patience"], max(self.curve)

    def keep(self, value: float, seconds: float) -> None:
        """Note an epoch that took so many seconds, and store everything."""
        self.curve.append(float(value))
        self.seconds += seconds
        model = {name: weights.clone() for name, weights in self.trainer.model.state_dict().items()}
        if self.best is None or value >= max(self.curve):
            self.best = model
        told = {"rows": self.rows, "curve": self.curve, "seconds": self.seconds, "best": self.best}
        part = self.file.with_suffix(".part")
        torch.save({**told, "model": model, "optimizer": self.trainer.optimizer.state_dict(), "patience": self.trainer.cur_step}, part)
        part.replace(self.file)


def main() -> None:
    """Teach until the held-out rows do not get better, or the time is over; answer the test rows."""
    folder, minutes = Path(sys.argv[1]).resolve(), float(sys.argv[2])
    rows = {name: read(folder / f"{name}.jsonl") for name in ("fit", "held", "test")}
    (folder / "recbole" / NAME).mkdir(parents=True, exist_ok=True)
    os.chdir(folder / "recbole")  # RecBole writes its logs into the working folder
    for name, part in (("train", grown(rows["fit"])), ("valid", rows["held"]), ("test", rows["test"])):
        write(part, folder / "recbole" / NAME / f"{NAME}.{name}.inter")
    config = settings(folder)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, _ = data_preparation(config, dataset)
    model = get_model(config["model"])(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    learnt = hashlib.sha256((folder / "fit.jsonl").read_bytes() + (folder / "held.jsonl").read_bytes()).hexdigest()
    sitting = Sitting(folder / "recbole" / "state.pt", learnt, trainer)
    init_seed(config["seed"] + len(sitting.curve), config["reproducibility"])
    told, last = "the held-out rows stopped it", time.perf_counter()

    def after(epoch: int, value: float) -> None:
        nonlocal last
        now = time.perf_counter()
        sitting.keep(value, now - last)
        last = now
        print(epoch, round(value, 5), round(sitting.seconds), flush=True)
        if sitting.seconds > 60 * minutes:
            raise OutOfTime

    try:
        trainer.fit(train, valid, verbose=False, saved=False, show_progress=False, callback_fn=after)
    except OutOfTime:
        told = f"stopped after {minutes:g} minutes"
    model.load_state_dict(sitting.best)
    epochs = f"{len(sitting.curve)} epochs, the best {int(np.argmax(sitting.curve)) + 1}"
    best = f"RecBole's own settings, the latest {LONGEST} items, {epochs}; {told}"
    gained = gains(model, dataset, rows["test"]).tolist()
    found = {"RecBole, SASRec": {"gains": gained, "seconds": sitting.seconds, "settings": best}}
    (folder / "recbole.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
