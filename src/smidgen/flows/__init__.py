"""Floor 3: the only room that knows the order of steps.

A build, whose order is in `build/pipeline.py`:

1. Read the rows. Drop repeats, and training rows whose text is in the test file.
2. Split them into rows to learn from, held-out rows for calibration and choice, and test rows that are only measured.
3. Train each student that can learn the task. Compress the results.
4. Choose one candidate by a fixed rule on the held-out rows.
5. Pack it. Score the test rows through the serving engine, and compare with the gates.
6. Write report and card, and move the folder into place. An older bundle there stays complete until that moment.

If a gate is not met, the build ends with exit code 1, and nothing is shipped.
"""
