"""Protocol 1: one line of JSON per message, non-finite numbers as text, at most 64 MiB, garbage refused."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatebench.run import protocol
from gatebench.run.protocol import MAX_LINE_BYTES, ProtocolError, decode, encode, finite, number

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8"))  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner), max_leaves=20)  # fmt: skip


# How fast examples are drawn says how busy the machine is, nothing else.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES))
def test_what_is_encoded_is_decoded_and_is_one_line(message):
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_non_finite_numbers_travel_as_text_at_any_depth():
    line = encode({"a": [math.inf, {"b": (-math.inf, math.nan)}], "c": 1.5})
    assert line == b'{"a":["inf",{"b":["-inf","nan"]}],"c":1.5}\n'
    assert number("inf") == math.inf
    assert number("-inf") == -math.inf
    assert math.isnan(number("nan") or 0.0)
    assert number(None) is None
    assert (number(3), number(0.5)) == (3.0, 0.5)


def test_a_number_that_is_none_is_refused():
    with pytest.raises((KeyError, ValueError)):
        number("many")


def test_keys_become_text():
    assert finite({1: [True, None]}) == {"1": [True, None]}


@pytest.mark.parametrize("line", [b"", b"\n", b"garbage\n", b"{\n", b"[1]\n", b"3\n", b'"text"\n', b"null\n", b"\xff\xfe{}\n", b'{"a":1}x\n'])  # fmt: skip
def test_garbage_is_refused_with_its_beginning(line):
    with pytest.raises(ProtocolError, match=r"not a (line|message) of protocol 1"):
        decode(line)


def test_garbage_is_shown_short():
    with pytest.raises(ProtocolError) as caught:
        decode(b"x" * 10_000)
    assert len(str(caught.value)) < 120


def test_64_mib_is_the_limit_of_a_line():
    room = MAX_LINE_BYTES - len(encode({"a": ""}))
    assert len(encode({"a": "x" * room})) == MAX_LINE_BYTES == 64 * 1024 * 1024
    with pytest.raises(ProtocolError, match="a message of 67108865 bytes; at most 67108864 are accepted"):
        encode({"a": "x" * (room + 1)})


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        encode({"a": object()})


def test_the_workers_answer_every_verb_of_the_protocol():
    from gatebench.measure.service import Service

    assert {*Service("", [], 1).verbs(), "stop"} == set(protocol.VERBS)
