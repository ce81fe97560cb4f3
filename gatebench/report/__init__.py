"""Reports: tables, Markdown and plotly figures from DataFrames. Knows no torch, no store and no gates."""
