"""Loops compiled by Numba."""

import numba
import numpy as np

from speed.work import Unit


@numba.njit(cache=True)
def _scan(forget: np.ndarray, x: np.ndarray, h: np.ndarray) -> None:
    for t in range(x.shape[0]):
        for channel in range(x.shape[1]):
            h[channel] = forget[t, channel] * h[channel] + (1.0 - forget[t, channel]) * x[t, channel]


@numba.njit(cache=True)
def _activations(x: np.ndarray, y: np.ndarray) -> None:
    for index in range(x.size):
        y[index] = x[index] / (1.0 + np.exp(-x[index]))


@numba.njit(cache=True)
def _product(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@numba.njit(cache=True)
def _histogram(x: np.ndarray, counts: np.ndarray) -> None:
    for index in range(x.size):
        counts[int(x[index] * counts.size)] += 1


def scan() -> Unit:
    random = np.random.default_rng(0)
    forget, x, h = random.random((128, 256)), random.random((128, 256)), np.zeros(256)
    return lambda number: _scan(forget, x, h)


def activations() -> Unit:
    x = np.random.default_rng(0).normal(size=2048)
    y = np.empty_like(x)
    return lambda number: _activations(x, y)


def product() -> Unit:
    a, b = np.random.default_rng(0).random((2, 28, 28))
    c = np.empty((28, 28))
    return lambda number: _product(a, b, c)


def histogram() -> Unit:
    x, counts = np.random.default_rng(0).random(8192), np.zeros(64, dtype=np.int64)
    return lambda number: _histogram(x, counts)


UNITS = {"scan": scan, "activations": activations, "product": product, "histogram": histogram}
