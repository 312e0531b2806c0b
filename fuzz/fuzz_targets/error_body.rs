//! Bodies that refuse.
//! What must hold is in `tests/properties/checks.rs`.

#![no_main]

#[allow(dead_code, reason = "each target calls one of the checks")]
#[path = "../../tests/properties/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|body: &[u8]| checks::error_body(body));
