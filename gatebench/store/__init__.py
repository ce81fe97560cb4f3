"""The store: run folders of parquet, written once, read by everything else. Knows no torch."""
