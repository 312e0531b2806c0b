//! Calls that can be done in another process: requests and results as values, and how they go through a pipe.
//! It starts no process and knows no Python.

pub(crate) mod call;
pub(crate) mod wire;
