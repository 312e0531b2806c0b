//! Bodies of charts, each behind a line with the millisecond at which it was made.
//! What must hold is in `tests/properties/checks.rs`.

#![no_main]

#[allow(dead_code, reason = "each target calls one of the checks")]
#[path = "../../tests/properties/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::chart(input));
