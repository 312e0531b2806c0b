//! The real recordings beside the checkout, where they are.
//! Without them it says so, and the test is skipped.

use std::path::PathBuf;

/// The folder of recordings.
pub fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/coingecko");
    if !folder.join("markets").is_dir() {
        eprintln!("skipped: no recordings at ../shared/coingecko");
        return None;
    }
    Some(folder)
}
