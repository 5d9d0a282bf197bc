"""What a language model says, held against the evidence: what does not check is struck."""
