"""What HTTP senders bring, in their forms: alerts and samples, read, written and accounted for."""
