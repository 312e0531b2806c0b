//! The landing's disk is full: a small file system of the test's own, which needs the right to mount one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use coinmill::failpoint;

use crate::ground::Ground;
use crate::support::Kind;
use crate::support::tally::Tally;
use crate::work::Work;

/// What the file system gives out at a time.
const PAGE: u64 = 4096;

const ROOM: u64 = 1 << 24;

const WORDS: [&str; 2] = ["cannot be written", "free some space"];

/// A file system in memory.
struct Disk(PathBuf);

impl Disk {
    /// `None` where none may be mounted.
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let disk = Self(at.to_owned());
        if disk.call(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"],
        ) {
            return Some(disk);
        }
        std::mem::forget(disk);
        eprintln!("skipped: this user may not mount a file system");
        None
    }

    fn grow(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        assert!(self.call("mount", &["-o", &size]));
    }

    fn call(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        let done = command.args(arguments).arg(&self.0).output();
        done.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert!(self.call("umount", &[]));
    }
}

/// Takes all the room that is left.
fn fill(file: &Path) {
    use std::io::Write;
    let mut filler = fs::File::create(file).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn manifest(landing: &Path) -> PathBuf {
    let all = files(landing);
    let manifest = all
        .into_iter()
        .find(|path| path.ends_with("manifest.jsonl"));
    manifest.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_ends_the_run_and_when_there_is_room_it_goes_on() {
    let _alone = fail::FailScenario::setup();
    for work in [Work::Snapshot, Work::Timeseries] {
        let mut ground = Ground::lay(work, None).await;
        assert!(work.here(&ground.mill).await.unwrap().is_complete);
        let bodies = files(&ground.mill.bench.landing());
        let bodies = bodies
            .iter()
            .filter(|path| path.extension().is_some_and(|end| end == "zst"));
        let pages = bodies.map(|path| fs::metadata(path).unwrap().len().div_ceil(PAGE));
        let first = pages.clone().next().unwrap();
        let all: u64 = pages.sum();
        let mut tally = Tally::new("the landing's disk full", Kind::Sqlite, work.name());
        // no room for the folder's own file; for one body, but not for half of the next; for all but a page
        for room in [0, 1 + first + 1, 1 + all - 1] {
            ground.renew().await;
            let landing = ground.mill.bench.landing();
            let Some(disk) = Disk::mount(&landing, room.max(1) * PAGE) else {
                return;
            };
            if room == 0 {
                fill(&landing.join("filler"));
            }
            let mut seen = ground.suffer(&[], &WORDS).await;
            let half = files(&landing);
            let half = half
                .iter()
                .any(|path| path.to_string_lossy().ends_with(".part"));
            seen.expect(!half, || "half a body takes up room".to_owned());
            disk.grow(ROOM);
            ground.heal(&mut seen).await;
            tally.note(&format!("{room} pages"), seen);
        }
        tally.close();
    }
}

/// A disk that is full for a moment, in the middle of a line of the manifest.
#[derive(Default)]
struct Moment {
    came: AtomicBool,
    /// Where the manifest ended before the line that did not fit.
    end: AtomicU64,
    full: Mutex<bool>,
    room: Condvar,
}

impl Moment {
    /// Fills the disk where the rest of the line needs a new page, and makes room once the line was taken back.
    fn strike(self: &Arc<Self>, landing: &Path) {
        if self.came.load(Ordering::SeqCst) {
            return;
        }
        let manifest = manifest(landing);
        let text = fs::read(&manifest).unwrap();
        let end = text.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let (length, half) = (text.len() as u64, (text.len() - end) as u64);
        if length % PAGE + half <= PAGE {
            return;
        }
        self.came.store(true, Ordering::SeqCst);
        self.end.store(end as u64, Ordering::SeqCst);
        *self.full.lock().unwrap() = true;
        let filler = landing.join("filler");
        fill(&filler);
        let moment = Arc::clone(self);
        std::thread::spawn(move || {
            let began = Instant::now();
            while fs::metadata(&manifest).unwrap().len() >= length
                && began.elapsed() < Duration::from_secs(10)
            {
                std::thread::yield_now();
            }
            fs::remove_file(filler).unwrap();
            *moment.full.lock().unwrap() = false;
            moment.room.notify_all();
        });
    }

    /// Keeps a response from being landed while the disk is full.
    fn wait(&self) {
        let full = self.full.lock().unwrap();
        let _room = self.room.wait_while(full, |full| *full).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_the_manifest_that_does_not_fit_does_not_spoil_the_next() {
    let _alone = fail::FailScenario::setup();
    let ground = Ground::lay(Work::Backfill, None).await;
    let landing = ground.mill.bench.landing();
    let Some(disk) = Disk::mount(&landing, ROOM) else {
        return;
    };
    let mut tally = Tally::new("the landing's disk full", Kind::Sqlite, "backfill");
    let moment = Arc::new(Moment::default());
    let (striking, waiting, folder) = (Arc::clone(&moment), Arc::clone(&moment), landing.clone());
    fail::cfg_callback(failpoint::BODY_HALF_LISTED, move || {
        striking.strike(&folder)
    })
    .unwrap();
    fail::cfg_callback(failpoint::RESPONSE_RECEIVED, move || waiting.wait()).unwrap();
    let mut seen = ground.suffer(&[], &WORDS).await;
    fail::remove(failpoint::BODY_HALF_LISTED);
    fail::remove(failpoint::RESPONSE_RECEIVED);
    seen.expect(moment.came.load(Ordering::SeqCst), || {
        "it was never full".to_owned()
    });
    let text = fs::read_to_string(manifest(&landing)).unwrap();
    let whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    seen.expect(text.lines().all(whole), || "a line is spoilt".to_owned());
    // responses that were under way were landed when there was room again
    let end = usize::try_from(moment.end.load(Ordering::SeqCst)).unwrap();
    seen.expect(text.len() > end, || "it did not go on".to_owned());
    ground.heal(&mut seen).await;
    tally.note("in a line of the manifest", seen);
    drop(disk);
    tally.close();
}
