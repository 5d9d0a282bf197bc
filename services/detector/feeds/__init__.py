"""What detectors follow in the store while they run: the active model, rules, feedback."""
