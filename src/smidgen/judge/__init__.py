"""Floor 2: metrics, intervals, calibration, the parity gate, the report."""
