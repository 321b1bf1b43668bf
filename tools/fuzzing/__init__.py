"""The parts of `tools/fuzz.py`: mutated programs and damaged files, tried in watched processes."""
