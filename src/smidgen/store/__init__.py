"""Floor 1: what is kept between runs: step results, bundles on this machine."""
