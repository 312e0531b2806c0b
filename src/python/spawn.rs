//! The near side of a call on SQLite: starts a worker, passes on its log records and its result, and sees it end.
//! What the call does is the worker's business; when it has to stop is the caller's.

use std::collections::VecDeque;
use std::env;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::{Error, Result};
use crate::provider::KEY_VARIABLE;
use crate::remote::call::{Returned, Tell};
use crate::remote::wire::{self, Order, Request, Said};
use crate::stop::Stopper;

/// All that a worker runs of Python: neither `site` nor the package, whose imports take longer than most calls.
const BOOTSTRAP: &str = "import sys; sys.path.append(sys.argv[1]); import _core; _core._work()";

/// The longest wait for a worker's greeting, which takes some hundredths of a second.
const START: Duration = Duration::from_secs(60);

/// How often it looks whether the worker lives: a fork of this process can keep its pipe open after its end.
const PULSE: Duration = Duration::from_millis(250);

/// How many pulses after its end a worker's last words may take through the pipe.
const LAST_WORDS: u32 = 4;

/// How many bytes of a worker's standard error are kept, for the case that it dies.
const KEPT: usize = 4000;

/// Which Python runs a worker, and where the extension is.
#[derive(Debug)]
pub(super) struct Interpreter {
    program: PathBuf,
    folder: PathBuf,
}

impl Interpreter {
    /// The one that runs this process.
    pub(super) fn of_this_process(py: Python<'_>) -> PyResult<Result<Self>> {
        let sys = py.import("sys")?;
        let program: Option<PathBuf> = sys.getattr("executable")?.extract()?;
        let is_frozen = sys.hasattr("frozen")? && sys.getattr("frozen")?.is_truthy()?;
        let program = program.filter(|program| !program.as_os_str().is_empty() && !is_frozen);
        let file: PathBuf = py
            .import("coinmill._core")?
            .getattr("__file__")?
            .extract()?;
        Ok(match (program, file.parent()) {
            (Some(program), Some(folder)) => Ok(Self {
                program,
                folder: folder.to_owned(),
            }),
            _ => Err(Error::config(
                "work on SQLite files needs a Python process of its own, and sys.executable names no interpreter here, as in \
                 a program that embeds Python: use PostgreSQL, set sys.executable to a Python, or use the `coinmill` command",
            )),
        })
    }
}

/// Has a call done in a process of its own. Where the stopper is asked, the worker is; where this is dropped, it is killed.
pub(super) async fn call(
    interpreter: &Interpreter,
    request: Request,
    stopper: &Stopper,
    tell: &Tell<'_>,
) -> Result<Returned> {
    let stop = stopper.listen();
    let mut worker = Worker::start(interpreter, request)?;
    let mut pulse = tokio::time::interval(PULSE);
    let started = tokio::time::Instant::now();
    let (mut is_begun, mut is_told, mut pulses_gone) = (false, false, 0);
    loop {
        tokio::select! {
            biased;
            () = stop.requested(), if !is_told => {
                is_told = true;
                worker.stop();
            }
            heard = worker.heard.recv() => match heard {
                Some(Heard::Greeting) => is_begun = true,
                Some(Heard::Said(Said::Log(logged))) => logged.log(),
                Some(Heard::Said(Said::Progress(progress))) => tell(progress),
                Some(Heard::Said(Said::Done(returned))) => return Ok(returned),
                Some(Heard::Said(Said::Failed(error))) => return Err(error),
                Some(Heard::Other(version)) => return Err(other_version(&version)),
                None => return Err(worker.died(is_begun)),
            },
            _ = pulse.tick() => {
                if !is_begun && started.elapsed() > START {
                    return Err(Error::config(format!(
                        "{} did not start as a Python within {} seconds: set sys.executable to one, or use PostgreSQL",
                        interpreter.program.display(), START.as_secs()
                    )));
                }
                if worker.is_gone() {
                    pulses_gone += 1;
                }
                if pulses_gone > LAST_WORDS {
                    return Err(worker.died(is_begun));
                }
            }
        }
    }
}

/// What comes through the pipe.
enum Heard {
    Greeting,
    /// A greeting of another version.
    Other(String),
    Said(Said),
}

/// A worker under way. Dropping it ends it, if it still lives, and no zombie stays.
struct Worker {
    child: Child,
    orders: Arc<Mutex<ChildStdin>>,
    heard: UnboundedReceiver<Heard>,
    complaints: mpsc::Receiver<String>,
}

impl Worker {
    fn start(interpreter: &Interpreter, request: Request) -> Result<Self> {
        let mut command = Command::new(&interpreter.program);
        command
            .args(["-I", "-S", "-c", BOOTSTRAP])
            .arg(&interpreter.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // every setting goes through the pipe, and a key in the environment could be read from outside
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("COINMILL_") || text == KEY_VARIABLE {
                command.env_remove(&name);
            }
        }
        alone(&mut command);
        let failed = |error: io::Error| {
            Error::store(
                format!(
                    "the process for the SQLite files ({}) cannot be started",
                    interpreter.program.display()
                ),
                error,
            )
        };
        let mut child = command.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let orders = Arc::new(Mutex::new(stdin));
        let (tell, heard) = unbounded_channel();
        let (complain, complaints) = mpsc::channel();
        let worker = Self {
            child,
            orders: Arc::clone(&orders),
            heard,
            complaints,
        };
        let named = || thread::Builder::new().name("coinmill".to_owned());
        named()
            .spawn(move || listen(stdout, &orders, request, &tell))
            .and_then(|_| {
                named().spawn(move || {
                    let _nobody_asks = complain.send(last_words(stderr));
                })
            })
            .map_err(failed)?;
        Ok(worker)
    }

    /// Asks the worker to stop. One that has not been told yet what to do is killed.
    fn stop(&mut self) {
        let is_told = self
            .orders
            .try_lock()
            .is_ok_and(|mut orders| Order::Stop.write(&mut *orders).is_ok());
        if !is_told {
            self.end();
        }
    }

    fn is_gone(&mut self) -> bool {
        // where somebody else has reaped it, it cannot be waited for any more
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The result is the last thing it sends, so that nothing is lost by the kill.
    fn end(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Why there is no result.
    fn died(&mut self, is_begun: bool) -> Error {
        // who closed its pipe is about to end by itself, and says more in doing so than a kill does
        for _ in 0..20 {
            if self.is_gone() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.end();
        let how = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(_) => "nobody knows how".to_owned(),
        };
        let said = self.complaints.recv_timeout(Duration::from_millis(200));
        let said = said.unwrap_or_default();
        let cause = said.lines().next_back().unwrap_or_default().trim();
        let cause = if cause.is_empty() {
            String::new()
        } else {
            format!(": {cause}")
        };
        let remedy = if is_begun {
            "what was committed is stored; call again, and a run is resumed (a machine short of memory kills processes, too)"
        } else {
            "if coinmill was installed or removed since Python started, restart Python (in a notebook, its kernel)"
        };
        Error::Store {
            message: format!(
                "the process that worked on the SQLite files ended without a result ({how}{cause}): {remedy}"
            ),
            retryable: is_begun,
            cause: None,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A terminal's Ctrl-C goes to its whole process group: the worker has its own, so that only this process decides.
fn alone(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
}

/// Waits for the greeting, gives the order, and hears all that the worker says, until its end or nobody wants to know.
fn listen(
    stdout: ChildStdout,
    orders: &Mutex<ChildStdin>,
    request: Request,
    tell: &UnboundedSender<Heard>,
) {
    let mut stdout = BufReader::with_capacity(1 << 16, stdout);
    match wire::greeted(&mut stdout) {
        Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {}
        Ok(Some(version)) => {
            let _nobody_waits = tell.send(Heard::Other(version));
            return;
        }
        _ => return,
    }
    if tell.send(Heard::Greeting).is_err() {
        return;
    }
    let begun = match orders.lock() {
        Ok(mut orders) => Order::Begin(request).write(&mut *orders),
        Err(_) => return,
    };
    if begun.is_err() {
        return;
    }
    while let Ok(Some(said)) = Said::read(&mut stdout) {
        if tell.send(Heard::Said(said)).is_err() {
            return;
        }
    }
}

/// The end of what a worker writes to standard error.
fn last_words(mut stderr: ChildStderr) -> String {
    let mut kept = VecDeque::new();
    let mut some = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut some) {
        kept.extend(some.iter().take(count));
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

fn other_version(version: &str) -> Error {
    Error::config(format!(
        "coinmill {} is loaded here, and {version} is installed by now: restart Python (in a notebook, its kernel)",
        env!("CARGO_PKG_VERSION")
    ))
}
