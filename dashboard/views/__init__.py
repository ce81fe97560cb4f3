"""The pages: one module per page, each with `page(store, filters)`, which asks the sidebar and then shows."""
