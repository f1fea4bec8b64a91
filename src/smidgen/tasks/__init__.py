"""Floor 2: the tasks, one file each. docs/how-to/add-a-part.md shows how to add one.

A task is a subclass of `core.parts.Task` in its own file, with a line `part = ...`; nothing else changes. It must have four methods. An
ability that only some tasks have is an object of a class in `core.abilities`, or None. The answer's form is a subclass of
`core.forms.Form`, or one of those there:

    class MoodForm(Form):
        high: Annotated[StrictInt, Field(ge=1, le=10)]

    class Mood(Task):
        name, summary, settings = "mood", "Rate the mood of each text.", Settings
        students, baseline, headline, form_type = ("ordinal",), "linear", "closeness", MoodForm

        def parse(self, value, settings): ...            # a cell as the task's own value
        def form(self, rows, settings): ...              # the form of answers of a model of these rows
        def decode(self, raw, form): ...                 # raw outputs to replies, with scores in 0..1
        def measure(self, rows, replies, form): ...      # metrics with intervals; the headline in 0..1, more is better

    part = Mood()

`tests/house/dropped/` has a complete example with its student, which the tests take through all of smidgen.

A task knows the type of its outputs, how raw model output becomes a reply, and how replies are measured. It knows nothing about
training. It refuses data that cannot teach it before any training.

A score is the probability that the answer is right, fitted on rows that the model was not trained on; for a generated text it is the
expected ROUGE-L. Fields always fit their schema, or there is no answer: the engine's output is parsed and validated again.
"""
