"""The fuzzer: property tests of parsers and decoders, driven by what the code covers.

    python tests/fuzz.py                 names the targets
    python tests/fuzz.py signature 60    runs one of them for 60 seconds
    python tests/fuzz.py all 60          runs each for 60 seconds

A target is a property test, so that what is fuzzed is what the tests hold: hypothesis turns the
bytes of the fuzzer into the arguments of the test. A crash is kept as a file, and the bytes in it
can be run again: `python tests/fuzz.py signature crash-...`.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent

TARGETS = {
    "signature": "test_signature:test_nothing_but_a_signature_error_comes_out",
    "signature_changed": "test_signature:test_any_changed_character_of_a_header_is_refused",
    "signature_signed": "test_signature:test_what_is_signed_is_verified",
    "retry_after": "test_pipeline:test_any_retry_after_is_a_wait_or_nothing",
    "form": "test_wire:test_a_form_is_read_back_by_decoders_that_know_nothing_of_the_encoder",
    "form_values": "test_wire:test_any_values_are_encoded_or_refused_and_nothing_else",
    "path_id": "test_wire:test_no_id_leads_to_another_endpoint",
    "path": "test_wire:test_any_path_is_refused_or_reached_as_it_is",
    "decode_bytes": "test_convert:test_any_bytes_are_a_model_or_a_decode_error",
    "decode_damaged": "test_convert:test_damaged_data_is_a_model_or_a_decode_error",
    "decode_whole": "test_convert:test_there_and_back_again",
    "error_body": "test_errors:test_any_answer_gives_an_error_that_is_safe_to_print",
    "error_secret": "test_errors:test_no_surrounding_uncovers_a_secret",
    "error_repeats": "test_errors:test_any_values_can_be_sent_and_said",
    "sandbox_form": "sandbox.test_forms:test_any_text_is_read_or_refused",
    "sandbox_multipart": "sandbox.test_multipart:test_garbage_is_read_or_refused",
    "cli_input": "test_cli_queries:test_no_input_breaks_the_reader",
}


def property_of(target: str) -> Any:
    """Return the property test that a target is."""
    room, name = TARGETS[target].split(":")
    for place in (str(TESTS), str(TESTS / "cli")):
        if place not in sys.path:
            sys.path.append(place)
    return getattr(importlib.import_module(room), name)


def one_input(target: str) -> Callable[[bytes], object]:
    """Return what runs a target on the bytes of a fuzzer."""
    run: Callable[[bytes], object] = property_of(target).hypothesis.fuzz_one_input
    return run


def fuzz(target: str, *arguments: str) -> None:
    """Run a target in this process, which the fuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["pinstripe"]):
        run = one_input(target)
    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


def main(target: str = "", bound: str = "60") -> int:
    if target == "all":
        return max(subprocess.call([sys.executable, __file__, name, bound]) for name in TARGETS)
    if target not in TARGETS:
        sys.stdout.write("\n".join(["targets:", *TARGETS, ""]))
        return 2
    time = ("-len_control=0", f"-max_total_time={bound}")  # long inputs from the start
    fuzz(target, *(time if bound.isdecimal() else (bound,)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
