"""What every request passes: three wrappers, and one concern per file. `app.py` has the order."""
