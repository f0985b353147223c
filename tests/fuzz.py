"""The fuzzer: property tests of parsers and decoders, driven by what the code covers.

    python -m tests.fuzz                 names the targets
    python -m tests.fuzz signature 60    runs one of them for 60 seconds
    python -m tests.fuzz all 60          runs each for 60 seconds

A target is a property test, so that what is fuzzed is what the tests hold. Where its arguments are
text or bytes the fuzzer's own go in as they are, thousands a second; elsewhere hypothesis makes
arguments of them. A crash is kept as a file, which `python -m tests.fuzz signature crash-...` runs
again.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

Arguments = Callable[[Any, bytes], tuple[Any, ...]]


def by_hypothesis(_: Any, data: bytes) -> tuple[Any, ...]:
    raise NotImplementedError


def as_text(_: Any, data: bytes) -> tuple[Any, ...]:
    return (data.decode(errors="ignore"),)


def as_header(_: Any, data: bytes) -> tuple[Any, ...]:
    return b"{}", data.decode(errors="ignore")


def as_answer(_: Any, data: bytes) -> tuple[Any, ...]:
    return 300 + sum(data[:2]) % 300, data[2:], "req_1"


def as_body_of_a_model(room: Any, data: bytes) -> tuple[Any, ...]:
    kinds = list(room.KINDS.elements)
    return kinds[sum(data[:1]) % len(kinds)], data[1:]


def as_id_of_an_endpoint(room: Any, data: bytes) -> tuple[Any, ...]:
    return room.ENDPOINTS[sum(data[:1]) % len(room.ENDPOINTS)], data[1:].decode(errors="ignore")


TARGETS: Mapping[str, tuple[str, str, Arguments]] = {
    "signature": (
        "test_signature",
        "test_nothing_but_a_signature_error_comes_out",
        as_header,
    ),
    "signature_changed": (
        "test_signature",
        "test_any_changed_character_of_a_header_is_refused",
        by_hypothesis,
    ),
    "signature_signed": ("test_signature", "test_what_is_signed_is_verified", by_hypothesis),
    "retry_after": ("http.test_pipeline", "test_any_retry_after_is_a_wait_or_nothing", as_text),
    "form": (
        "http.test_encoding",
        "test_a_form_is_read_back_by_decoders_that_know_nothing_of_the_encoder",
        by_hypothesis,
    ),
    "form_values": (
        "http.test_encoding",
        "test_any_values_are_encoded_or_refused_and_nothing_else",
        by_hypothesis,
    ),
    "path_id": ("http.test_encoding", "test_no_id_leads_to_another_endpoint", as_id_of_an_endpoint),
    "path": ("http.test_encoding", "test_any_path_is_refused_or_reached_as_it_is", as_text),
    "decode_bytes": (
        "models.test_convert",
        "test_any_bytes_are_a_model_or_a_decode_error",
        as_body_of_a_model,
    ),
    "decode_damaged": (
        "models.test_convert",
        "test_damaged_data_is_a_model_or_a_decode_error",
        by_hypothesis,
    ),
    "decode_whole": ("models.test_convert", "test_there_and_back_again", by_hypothesis),
    "error_body": (
        "core.test_errors",
        "test_any_answer_gives_an_error_that_is_safe_to_print",
        as_answer,
    ),
    "error_text": (
        "core.test_errors",
        "test_cleaned_text_is_one_printable_line_of_a_kilobyte",
        as_text,
    ),
    "error_secret": (
        "core.test_errors",
        "test_no_surrounding_uncovers_a_secret",
        by_hypothesis,
    ),
    "error_repeats": ("core.test_errors", "test_any_values_can_be_sent_and_said", by_hypothesis),
    "sandbox_form": ("sandbox.params.test_forms", "test_any_text_is_read_or_refused", as_text),
    "sandbox_multipart": (
        "sandbox.params.test_multipart",
        "test_garbage_is_read_or_refused",
        by_hypothesis,
    ),
    "cli_input": ("cli.quotes.test_queries", "test_no_input_breaks_the_reader", by_hypothesis),
}
"""Each target: where its property test is, its name, and how bytes become its arguments."""


def one_input(target: str) -> Callable[[bytes], object]:
    """Return what runs a target on the bytes of a fuzzer."""
    where, name, arguments = TARGETS[target]
    room = importlib.import_module(f"tests.{where}")
    handle = getattr(room, name).hypothesis
    run: Callable[[bytes], object] = handle.fuzz_one_input
    if arguments is by_hypothesis:
        return run
    return lambda data: handle.inner_test(*arguments(room, data))


def fuzz(target: str, *options: str) -> None:
    """Run a target in this process, which the fuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["pinstripe"]):
        run = one_input(target)
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


def main(target: str = "", bound: str = "60", *options: str) -> int:
    if target == "all":
        command = [sys.executable, "-m", "tests.fuzz"]
        return max(subprocess.call([*command, name, bound, *options]) for name in TARGETS)
    if target not in TARGETS:
        sys.stdout.write("\n".join(["targets:", *TARGETS, ""]))
        return 2
    first = f"-max_total_time={bound}" if bound.isdecimal() else bound
    fuzz(target, first, *options)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
