//! The snapshot run against a real market server and real databases of both kinds.
//! What a body may hold is in `corruptions`, what a user may do wrong in `bad_input`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "snapshot/again.rs"]
mod again;
#[path = "snapshot/budget.rs"]
mod budget;
#[path = "snapshot/columns.rs"]
mod columns;
#[path = "snapshot/faults.rs"]
mod faults;
#[path = "snapshot/named.rs"]
mod named;
#[path = "snapshot/names.rs"]
mod names;
#[path = "snapshot/quarantine.rs"]
mod quarantine;
#[path = "snapshot/refused.rs"]
mod refused;
#[path = "snapshot/slots.rs"]
mod slots;
#[path = "snapshot/whole.rs"]
mod whole;
