"""Twenty callables whose work can be made a known share longer."""
