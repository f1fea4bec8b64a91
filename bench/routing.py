"""Routers: from what is known of a request to how much the small model is to be trusted with it.

`smidgen`, `margin` and `committee` read the small model's answer and learn nothing. The others learn from routing rows, each in the form in
which its authors have it, on the vectors of the starter encoder; what they leave open is chosen by cross-validation on those rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.routed import Answers

FOLDS = 3
NEIGHBOURS = (5, 10, 20, 50, 100)
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Of the logistic routers: the inverse of the penalty, for each column."""
DECAYS, HIDDEN, STEPS = (0.1, 1.0), 100, 60
"""Of the network: its penalty, its width, and how often it sees the rows."""
GAMMA = 10.0
"""RouteLLM's, of the similarity-weighted ranking."""
FACTORS, PASSES, BATCH, RATE, DECAY, BLUR = 128, 100, 64, 3e-4, 1e-5, 0.1
"""RouteLLM's, of the matrix factorisation: width, passes, rows a step, learning rate, penalty, noise on vectors while it learns."""

Router = Callable[[Answers, Any, Answers, int], Any]
"""(answers to routing rows, (n,) whether each agreed, answers to test rows, seed) -> (m,) scores, larger where the small model answers."""


def score(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """smidgen's own: the calibrated probability of the answer."""
    return test.score


def margin(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """Margin sampling (Cache & Distil: Ramirez et al. 2023): how far the answer is ahead of the runner-up."""
    return test.score - test.second


def committee(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """Query by committee (Cache & Distil): how much further students agree."""
    if test.doubt is None:
        raise ValueError("there is no committee of this small model; leave the router `committee` out")
    return -test.doubt


def guess(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """At random."""
    return np.random.default_rng([seed, 8]).random(len(test.said))


def neighbours(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """The share of agreement among the nearest routing rows, by cosine."""
    from sklearn.neighbors import KNeighborsClassifier

    counts = [count for count in NEIGHBOURS if count <= len(agreed) // 2]
    return _learned([KNeighborsClassifier(count) for count in counts], routing.vectors, agreed, test.vectors, seed)


def weighted(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """RouteLLM's similarity-weighted ranking. Of two models a Bradley-Terry fit has a closed form: the weighted share of agreement."""
    alike = test.vectors.astype(np.float64) @ routing.vectors.T.astype(np.float64)
    weights = GAMMA ** (1 + alike / np.maximum(alike.max(axis=1, keepdims=True), 1e-9))
    return (weights @ agreed) / weights.sum(axis=1)


def logistic(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """A classifier on the text, as RouteLLM's BERT router, but on vectors that are not taught."""
    return _linear(routing.vectors, agreed, test.vectors, seed)


def network(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """A network with one hidden layer on the vectors."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    models = [MLPClassifier(HIDDEN, alpha=decay, max_iter=STEPS, random_state=seed) for decay in DECAYS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it ends where it is told to
        return _learned(models, routing.vectors, agreed, test.vectors, seed)


def factors(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """RouteLLM's matrix factorisation: the log-odds of the large model's win are w · ((v_large - v_small) * (W q + b)), q the vector."""
    import torch

    torch.manual_seed(seed)
    models, project = torch.nn.Embedding(2, FACTORS), torch.nn.Linear(routing.vectors.shape[1], FACTORS)
    last = torch.nn.Linear(FACTORS, 1, bias=False)
    parameters = [*models.parameters(), *project.parameters(), *last.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=RATE, weight_decay=DECAY)
    texts, wins = torch.tensor(routing.vectors, dtype=torch.float32), torch.tensor(1 - agreed, dtype=torch.float32)

    def odds(vectors: Any) -> Any:
        both = torch.nn.functional.normalize(models.weight, dim=1)
        return last((both[1] - both[0]) * project(vectors))[:, 0]

    for _ in range(PASSES):
        for rows in torch.randperm(len(texts)).split(BATCH):
            noised = texts[rows] + BLUR * torch.randn_like(texts[rows])
            optimiser.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(odds(noised), wins[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        return -odds(torch.tensor(test.vectors, dtype=torch.float32)).numpy().astype(np.float64)


def answer_read(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """As FrugalGPT's scorer: the request and the answer are read, and the small model's score is not."""
    return _linear(_read(routing), agreed, _read(test), seed)


def answer_and_score(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """A scorer that reads the request, the answer, and what the small model says of its sureness."""
    return _linear(np.hstack([_read(routing), sureness(routing)]), agreed, np.hstack([_read(test), sureness(test)]), seed)


def nearness_and_score(routing: Answers, agreed: Any, test: Answers, seed: int) -> Any:
    """Few numbers: the sureness, and how near the text is to its answer's rows and to those of the nearest other label."""
    return _linear(np.hstack([sureness(routing), nearness(routing)]), agreed, np.hstack([sureness(test), nearness(test)]), seed)


UNTAUGHT: Mapping[str, Router] = {"smidgen": score, "margin": margin, "committee": committee, "random": guess}
TEXT: Mapping[str, Router] = {
    "kNN": neighbours,
    "MLP": network,
    "RouteLLM, matrix factorisation": factors,
    "RouteLLM, similarity-weighted": weighted,
    "classifier on the text (logistic)": logistic,
    "FrugalGPT-style scorer (text, answer)": answer_read,
}
COMBINED: Mapping[str, Router] = {"text, answer and score": answer_and_score, "nearness and score": nearness_and_score}
ROUTERS: Mapping[str, Router] = {**UNTAUGHT, **TEXT, **COMBINED}


def sureness(answers: Answers) -> Any:
    """(n, 2) log-odds of the answer, and those of it against the runner-up alone."""
    best, second = (np.clip(values, 1e-6, 1 - 1e-6) for values in (answers.score, answers.second))
    return np.stack([np.log(best / (1 - best)), np.log(best / second)], axis=1)


def nearness(answers: Answers) -> Any:
    """(n, 2) the cosine of a text and the middle of its answer's rows, and how far that is over any other label's."""
    alike = answers.vectors @ answers.middles.T
    rows = np.arange(len(alike))
    own = alike[rows, answers.said]
    others = alike.copy()
    others[rows, answers.said] = -np.inf
    return np.stack([own, own - others.max(axis=1)], axis=1)


def _read(answers: Answers) -> Any:
    """(n, 2 width + 1) a text, its answer as the mean of that label's rows, and the cosine of both."""
    middles = answers.middles[answers.said]
    return np.hstack([answers.vectors, middles, (answers.vectors * middles).sum(axis=1, keepdims=True)])


def _linear(learning: Any, agreed: Any, asked: Any, seed: int) -> Any:
    """A logistic regression on columns of one spread."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    width = learning.shape[1]
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=strength / width, max_iter=500)) for strength in STRENGTHS]
    return _learned(models, learning, agreed, asked, seed)


def _learned(models: Sequence[Any], learning: Any, agreed: Any, asked: Any, seed: int) -> Any:
    """(m,) chances of agreement, by the model with the smallest log loss in cross-validation. Where all rows agree, or none, 0.5."""
    from sklearn.base import clone
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    target = np.asarray(agreed, dtype=np.int64)
    fewest = int(min(target.sum(), len(target) - target.sum()))
    if fewest < 2:
        return np.full(len(asked), 0.5)
    folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    losses = [log_loss(target, cross_val_predict(model, learning, target, cv=folds, method="predict_proba")) for model in models]
    return clone(models[int(np.argmin(losses))]).fit(learning, target).predict_proba(asked)[:, 1]
