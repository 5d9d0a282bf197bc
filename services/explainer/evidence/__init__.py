"""From a subject to its case: what is asked, measured and numbered."""
