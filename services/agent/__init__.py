"""The agent: this machine's own metrics, streamed to ingest or posted to a webhook."""
