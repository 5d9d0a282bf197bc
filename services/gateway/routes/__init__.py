"""What is written by hand: foreign protocols, identity, health, documents. A file per subject."""
