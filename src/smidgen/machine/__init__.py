"""Floor 1: the computer. Processor, memory, heap, and threads.

`processor.threads()` sets the size of every thread pool: `--threads`, else `SMIDGEN_THREADS`, else one per core. Two pools
that spin on the same cores run ten times slower than one, so no pool chooses for itself. `one_thread` keeps numpy's pool
to one thread while an engine computes: its threads spin for milliseconds after a product, on cores that the encoder needs.

Memory is in MB of 10^6 bytes. An energy figure always carries the name of its method (`usage/energy.py`): processor counters
(RAPL) if they can be read, else an estimate from processor time.
"""
