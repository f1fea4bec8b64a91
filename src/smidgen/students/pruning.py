"""What is left of a taught decoder where layers, neurons or both are to go."""

from __future__ import annotations

from smidgen.core.progress import Progress
from smidgen.students import narrowing, shortening
from smidgen.students.adapters import Change
from smidgen.students.decoder_settings import DecoderSettings
from smidgen.students.teaching import Teacher


def pruned(teacher: Teacher, settings: DecoderSettings, progress: Progress) -> tuple[Change, list[int] | None, list[list[int]] | None]:
    """The change of what is left, the layers that stay, and the neurons of each of these; None where all stay. Both are chosen by the whole
    decoder. Raises TrainError where too little would be left."""
    change, layers, neurons = teacher.change, None, None
    if settings.drop_neurons:
        neurons = narrowing.lasting(teacher.activity(), change, settings.drop_neurons)
        progress.say(f"{len(neurons[0])} of {change.shape.inner} neurons of each feed-forward layer stay")
    if settings.drop_layers:
        layers = shortening.lasting(teacher.influences().tolist(), settings.drop_layers)
        progress.say(f"{len(layers)} of {change.shape.layers} layers stay: {', '.join(map(str, layers))}")
        change = shortening.shortened(change, layers)
        neurons = None if neurons is None else [neurons[number] for number in layers]
    return (change if neurons is None else narrowing.narrowed(change, neurons)), layers, neurons
