"""Recurrent gates, whose gates see the last state: RNN, LSTM, GRU and their variants, in PyTorch's conventions."""
