"""The life of models: trained, measured, watched on live samples, activated."""
