"""Floor 2: kinds of job, one file each. The architecture page shows how to add one.

A task knows what outputs look like, how a model's raw output becomes a reply, and how replies are measured. It knows nothing of how
models learn. It refuses data that cannot teach it before any training.

A score is the probability that the answer is right, fitted on rows that the model was not trained on; of a text it is the ROUGE-L to
expect. Fields always fit their schema, or there is no answer: what comes out of the engine is parsed and validated again.
"""
