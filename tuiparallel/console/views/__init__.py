"""The panes: each a view of the store, without data of its own."""
