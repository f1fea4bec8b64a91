"""Floor 2: the report, the parity gate, the quality gate. What is measured is in each task's `measure`, its formulas in `stats/`."""
