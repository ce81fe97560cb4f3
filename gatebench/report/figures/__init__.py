"""Figures: pure functions from DataFrame to plotly figure, shared by dashboard, report and command line."""
