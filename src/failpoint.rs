//! Named places that a run passes, at which a test can kill it or do harm to the world around it.
//! Only with the feature `failpoints`: without it, which is in every release, passing one is nothing.

use std::io::{self, Write};

/// The run has its row in the ledger.
pub const RUN_BEGUN: &str = "run-begun";
/// Calls are reserved, and none is made yet.
pub const CALLS_RESERVED: &str = "calls-reserved";
/// A response has arrived whole, and nothing of it is on the disk.
pub const RESPONSE_RECEIVED: &str = "response-received";
/// The run's folder is made, and its manifest is half written.
pub const FOLDER_HALF_MADE: &str = "folder-half-made";
/// Half of a body is in its file.
pub const BODY_HALF_LANDED: &str = "body-half-landed";
/// The body is in place, and not listed yet.
pub const BODY_NOT_LISTED: &str = "body-not-listed";
/// Half of a body's line is in the manifest.
pub const BODY_HALF_LISTED: &str = "body-half-listed";
/// What was landed is on the disk, and the commit has not begun.
pub const BEFORE_COMMIT: &str = "before-commit";
/// The transaction has begun.
pub const COMMIT_BEGUN: &str = "commit-begun";
/// Some of the commit's rows are in.
pub const COMMIT_HALF_DONE: &str = "commit-half-done";
/// All of the commit's rows are in, and it is not committed.
pub const COMMIT_NOT_SENT: &str = "commit-not-sent";
/// It is committed, it has no instant yet, and nobody has been told.
pub const COMMITTED: &str = "committed";
/// The commit has its instant.
pub const COMMIT_STAMPED: &str = "commit-stamped";
/// It is committed what a prune does not keep, and nothing is deleted yet.
pub const HORIZON_RECORDED: &str = "horizon-recorded";
/// Some of a batch's points are deleted, and that is not committed.
pub const POINTS_HALF_PRUNED: &str = "points-half-pruned";
/// The files of a run's folder are deleted, and those of the day's others are not.
pub const BODIES_HALF_PRUNED: &str = "bodies-half-pruned";
/// The run's end is in the ledger, and nothing is reported.
pub const RUN_ENDED: &str = "run-ended";

/// Every place, in the order in which a run passes them.
pub const ALL: [&str; 17] = [
    RUN_BEGUN,
    CALLS_RESERVED,
    FOLDER_HALF_MADE,
    RESPONSE_RECEIVED,
    BODY_HALF_LANDED,
    BODY_NOT_LISTED,
    BODY_HALF_LISTED,
    BEFORE_COMMIT,
    COMMIT_BEGUN,
    COMMIT_HALF_DONE,
    COMMIT_NOT_SENT,
    COMMITTED,
    COMMIT_STAMPED,
    HORIZON_RECORDED,
    POINTS_HALF_PRUNED,
    BODIES_HALF_PRUNED,
    RUN_ENDED,
];

/// Passes a place. Where `FAILPOINTS` says `return` for it, as in `FAILPOINTS=committed=1*off->return`, the process gets
/// a SIGKILL there; a test in the same process can set a callback instead.
#[cfg(feature = "failpoints")]
pub fn pass(place: &'static str) {
    fail::fail_point!(place, |_| kill());
}

/// Passes a place.
#[cfg(not(feature = "failpoints"))]
pub fn pass(_place: &'static str) {}

/// Writes bytes, and passes a place when half of them are written.
pub(crate) fn write(out: &mut impl Write, bytes: &[u8], place: &'static str) -> io::Result<()> {
    if cfg!(feature = "failpoints") {
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        out.write_all(half)?;
        pass(place);
        return out.write_all(rest);
    }
    out.write_all(bytes)
}

/// Ends the process as a power cut would: nothing is dropped, closed or written any more.
#[cfg(feature = "failpoints")]
fn kill() {
    let own = rustix::process::getpid();
    let _sent = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    // the signal is on its way
    loop {
        std::thread::park();
    }
}

/// Reads `FAILPOINTS` for as long as what is returned lives.
#[cfg(feature = "failpoints")]
pub(crate) fn listen() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
