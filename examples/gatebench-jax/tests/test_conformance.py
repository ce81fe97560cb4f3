"""GateBench's conformance kit: every rule for an implementation, with one thread and with two, in worker processes."""

from gatebench.testing import conformance_tests

GATES = ["lstm", "gru", "swiglu_ffn"]

test_all_rules = conformance_tests("jax:jit", GATES)
test_the_telling_rules_with_two_threads = conformance_tests("jax:jit", GATES, fast=True, threads=2)
