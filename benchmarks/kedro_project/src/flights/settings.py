"""Kedro needs this module; the defaults do."""
