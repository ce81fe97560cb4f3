"""Which gates the conformance kit has compiled in every CI: what it shows of them is shown nowhere else again."""

ONE_OF_EACH_FAMILY = ("rnn_tanh", "mingru", "swiglu", "highway", "squeeze_excite", "gated_tanh_conv", "gated_attention")
