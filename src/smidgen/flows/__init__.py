"""Floor 3: the only room that knows the order of steps.

A build, whose order is in `build/pipeline.py`:

1. Read the rows. Drop repeats, and training rows whose text is in the test file.
2. Split into rows to learn from, held-out rows for calibration and choice, and test rows that are only measured.
3. Train each student that can learn the task. Make smaller forms.
4. Choose one form by a plain rule on the held-out rows.
5. Pack it. Score the test rows through the serving engine, and hold them against the gates.
6. Write report and card, and move the folder into place. An older bundle there stays whole until that moment.

A gate that is not met ends the build with exit code 1, and nothing is shipped.
"""
