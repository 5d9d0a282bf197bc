"""What every request passes, one concern per file. `app.py` has the order and its reasons."""
