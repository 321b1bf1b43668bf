"""What `tools/fuzz.py` is made of: programs and files in disorder, tried in processes that are watched."""
