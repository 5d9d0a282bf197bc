"""What notices say. What telemetry brought in is inert: it mentions nobody and makes no link."""
