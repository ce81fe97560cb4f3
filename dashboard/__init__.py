"""The dashboard: Streamlit pages over a store. Imports gatebench.store, gatebench.analyze and gatebench.report only."""
