"""Forms for the objects of the configuration, made from their settings."""
