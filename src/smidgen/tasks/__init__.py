"""Floor 2: kinds of job, one file each. The architecture page shows how to add one.

A task is a subclass of `core.parts.Task` in a file of its own, with a line `part = ...`; nothing else changes. What it can do beyond the
four methods that it must have, it says by attributes. The answer's form is a subclass of `core.forms.Form`, or one of those there:

    class MoodForm(Form):
        high: Annotated[StrictInt, Field(ge=1, le=10)]

    class Mood(Task):
        name, summary, settings = "mood", "Rate the mood of each text.", Settings
        students, baseline, headline, form_type = ("ordinal",), "linear", "closeness", MoodForm
        def parse(self, value, settings): ...            # a cell as the task's own value
        def form(self, rows, settings): ...              # what a model of these rows answers with
        def decode(self, raw, form): ...                 # raw outputs to replies, with scores in 0..1
        def measure(self, rows, replies, form): ...      # metrics with intervals; the headline in 0..1, more is better

    part = Mood()

`tests/house/dropped/` has a whole one, with a student of it, that the tests take through all that smidgen does.

A task knows what outputs look like, how a model's raw output becomes a reply, and how replies are measured. It knows nothing of how
models learn. It refuses data that cannot teach it before any training.

A score is the probability that the answer is right, fitted on rows that the model was not trained on; of a text it is the ROUGE-L to
expect. Fields always fit their schema, or there is no answer: what comes out of the engine is parsed and validated again.
"""
