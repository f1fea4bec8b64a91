"""Floor 1: the computer as it is: processor, memory, time, energy, seeds."""
