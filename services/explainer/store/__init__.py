"""What the explainer keeps in PostgreSQL, schema `explainer`."""
