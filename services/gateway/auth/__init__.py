"""Who is calling: passwords, sessions, API keys, and what a request proves."""
