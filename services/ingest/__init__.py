"""Takes samples and alerts in, makes them durable, hands them on in order."""
