//! A PostgreSQL cluster of one test's own, to be killed and started again. The binaries are those of the tests' cluster.
//! What runs on it is not known here.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// The one program of the tests' PostgreSQL whose path is known.
const PSQL: &str = "COINMILL_TEST_PSQL";

/// As whom PostgreSQL runs where the tests run as root, which it refuses.
const NOBODY: u32 = 65534;

/// A cluster and the server on it.
pub struct Cluster {
    folder: TempDir,
    port: u16,
    running: Option<(Child, JoinHandle<()>)>,
}

impl Cluster {
    /// Makes a cluster and starts its server.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if is_root() {
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut cluster = Self {
            folder,
            port: free_port(),
            running: None,
        };
        let arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"];
        let made = cluster
            .command("initdb")
            .args(arguments)
            .arg("--no-sync")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{said}");
        cluster.revive();
        cluster
    }

    /// The administrator's URL.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// SIGKILL for the postmaster. When this returns none of its processes is left.
    pub fn kill(&mut self) {
        if let Some((mut postmaster, log)) = self.running.take() {
            postmaster.kill().unwrap();
            postmaster.wait().unwrap();
            // all of its processes write to one pipe, which closes behind the last of them
            log.join().unwrap();
        }
    }

    /// Starts the server; it recovers by itself.
    pub fn revive(&mut self) {
        let mut postmaster = self
            .command("postgres")
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "fsync=off"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(postmaster.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("ready to accept connections") {
            let read = log.read_line(&mut said).unwrap();
            assert!(read > 0, "PostgreSQL does not start: {said}");
        }
        let drain = std::thread::spawn(move || {
            let mut line = String::new();
            while log.read_line(&mut line).is_ok_and(|read| read > 0) {
                line.clear();
            }
        });
        self.running = Some((postmaster, drain));
    }

    fn command(&self, program: &str) -> Command {
        let psql =
            std::env::var(PSQL).unwrap_or_else(|_| panic!("{PSQL} is not set: run `make test`"));
        let mut command = Command::new(PathBuf::from(psql).with_file_name(program));
        command
            .current_dir(self.folder.path())
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    probe.local_addr().unwrap().port()
}
