"""Implementations: how gates are computed. One file per backend; each registers itself through the plugin door."""
