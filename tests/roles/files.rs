//! `db-init/` as an administrator applies it: with psql, file by file, in their order.
//! What the files make is for the tests to look at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The databases of the stack.
pub const DATABASES: [&str; 3] = ["airflow", "airflow_snapshot", "airflow_timeseries"];

/// The roles, each with the variable that its password comes from.
pub const PASSWORDS: [(&str, &str); 4] = [
    ("airflow", "AIRFLOW_DATABASE_PASSWORD"),
    ("coinmill_owner", "COINMILL_OWNER_PASSWORD"),
    ("coinmill_writer", "COINMILL_WRITER_PASSWORD"),
    ("coinmill_reader", "COINMILL_READER_PASSWORD"),
];

/// The password that a role gets.
pub fn password(role: &str) -> String {
    format!("{role}'s p@ss/w\\rd =\"$1,")
}

/// The files in their order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 4);
    files
}

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("db-init")
}

/// Applies them as this administrator, with every password given.
pub fn db_init(administrator: &str) {
    let given = PASSWORDS.map(|(role, variable)| (variable, password(role)));
    applied(&apply(&files(&ours()), administrator, &given));
}

/// The same files for roles and databases under other names, so that none of them is there before.
pub struct Renamed {
    folder: tempfile::TempDir,
    prefix: String,
}

impl Renamed {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = format!("t{}_", uuid::Uuid::now_v7().simple());
        for file in files(&ours()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text
                .replace("airflow", &format!("{prefix}airflow"))
                .replace("coinmill_", &format!("{prefix}coinmill_"));
            std::fs::write(folder.path().join(file.file_name().unwrap()), text).unwrap();
        }
        Self { folder, prefix }
    }

    /// A role or a database under its other name.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Applies them, with every password given.
    pub fn db_init(&self, administrator: &str) {
        let given = PASSWORDS.map(|(role, variable)| (variable, password(&self.name(role))));
        applied(&self.apply(administrator, &given));
    }

    /// Applies them with these variables, until one fails.
    pub fn apply(&self, administrator: &str, given: &[(&str, String)]) -> Output {
        apply(&files(self.folder.path()), administrator, given)
    }
}

/// Applies files one by one, each in a session of its own, and returns what the first that fails says, or the last.
fn apply(files: &[PathBuf], administrator: &str, given: &[(&str, String)]) -> Output {
    let psql = std::env::var("COINMILL_TEST_PSQL")
        .expect("COINMILL_TEST_PSQL is not set: run `make test`");
    let mut last = None;
    for file in files {
        let mut command = Command::new(&psql);
        command.args(["-X", "-d", administrator, "-f"]).arg(file);
        for (_, variable) in PASSWORDS {
            command.env_remove(variable);
        }
        for (variable, value) in given {
            command.env(variable, value);
        }
        let output = command.output().unwrap();
        let done = output.status.success();
        last = Some(output);
        if !done {
            break;
        }
    }
    last.unwrap()
}

fn applied(output: &Output) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert_eq!(complaint, "", "it has nothing to say");
}
