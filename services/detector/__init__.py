"""Detection: every sample is scored as it passes, what is abnormal is announced."""
