"""Explains alerts and anomalies: gathers evidence, ranks causes, words the answer and checks it."""
