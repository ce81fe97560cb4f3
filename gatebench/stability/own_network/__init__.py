"""One's own network: a gate's weights from a checkpoint, and its inputs from an array file."""

from gatebench.stability.own_network.sequences import check_sequence, inputs_of, sequence_sizes
from gatebench.stability.own_network.weights import own_parameters, own_sizes

__all__ = ["check_sequence", "inputs_of", "own_parameters", "own_sizes", "sequence_sizes"]
