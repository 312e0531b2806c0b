//! Takes a mutex whatever happened to its last holder: the simulator's state stays usable after a panic in a test.
//! It knows nothing of what is locked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guarded value, even where another thread panicked while it held the lock.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
