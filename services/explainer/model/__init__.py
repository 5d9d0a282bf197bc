"""What the explainer talks about: plain data and the rules on it, free of wire and database."""
