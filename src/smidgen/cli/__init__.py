"""Floor 4: the command line, one file per verb.

The file name is the verb, its `part` is a function, and the docstring is the help and ends with an example. `main.py` finds
the verbs, runs one, and turns errors into a message and an exit code. `python -m tools.reference` writes the reference.

- Results go to standard output, everything else to standard error. `--json` prints one JSON document and nothing else.
- Text may come from a stranger. `screen.py` drops control characters. Put `rich.markup.escape` around data in markup.
- A fault of the machine, such as a full disk, is a `MachineError`: one line, exit code 1.
- Progress bars appear only on a terminal. Elsewhere each finished step is one line.
- Exit codes: 0 done, 1 failed or gate not met, 2 wrong usage or input, 130 stopped by the user.
- A verb raises errors and never prints them. Any other exception is a defect in smidgen; `SMIDGEN_DEBUG=1` shows its traceback.
"""
