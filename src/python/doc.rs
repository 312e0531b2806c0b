//! The docstrings of the module, out of the stub `_core.pyi` where they are written.
//! What has none there does not compile.

/// The docstring of a class, method or function of the stub, such as `Mill.runs`.
macro_rules! stub {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name, ".txt"))
    };
}

pub(super) use stub;
