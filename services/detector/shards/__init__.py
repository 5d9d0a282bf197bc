"""The shards this process holds: samples in, scores and silences, checkpoints out."""
