//! Gives the bindings their docstrings: one text file for each class, method and function of the stub `_core.pyi`, which
//! `src/python/doc.rs` includes. So `help()` shows what editors show, from one source.
//! Without the feature `python` it does nothing.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const STUB: &str = "python/coinmill/_core.pyi";

const QUOTES: &str = "\"\"\"";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PYTHON").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed={STUB}");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    for (name, text) in docstrings(&fs::read_to_string(STUB)?) {
        fs::write(folder.join(format!("{name}.txt")), text)?;
    }
    Ok(())
}

/// The docstrings by the name of what they are about, such as `Mill.runs`. A stub's form is simple: what is defined begins a line,
/// and its docstring is the first line with quotes after it.
fn docstrings(stub: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut class, mut name) = (String::new(), None);
    let mut lines = stub.lines();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        if let Some(rest) = text.strip_prefix("class ") {
            class = word(rest);
            name = Some(class.clone());
        } else if let Some(rest) = text.strip_prefix("def ") {
            name = Some(match line.starts_with(' ') {
                true => format!("{class}.{}", word(rest)),
                false => word(rest),
            });
            // its arguments, where they have lines of their own
            if text.ends_with('(') {
                let _arguments = lines
                    .by_ref()
                    .find(|line| line.trim_start().starts_with(')'));
            }
        } else if let Some(first) = text.strip_prefix(QUOTES) {
            let mut doc = first.to_owned();
            while !doc.contains(QUOTES) {
                doc.push('\n');
                doc.push_str(lines.next().unwrap_or(QUOTES));
            }
            if let Some(name) = name.take() {
                let doc = doc.split(QUOTES).next().unwrap_or_default();
                found.push((name, dedented(doc)));
            }
        } else if line.len() - text.len() <= 4 && !text.starts_with(')') && text.contains(": ") {
            // an attribute, whose own text may follow
            name = None;
        }
    }
    found
}

fn word(text: &str) -> String {
    let is_of_a_name = |c: &char| c.is_alphanumeric() || *c == '_';
    text.chars().take_while(is_of_a_name).collect()
}

/// A docstring without the indentation of the lines after its first, as `inspect.cleandoc` has it.
fn dedented(doc: &str) -> String {
    let (first, rest) = doc.split_once('\n').unwrap_or((doc, ""));
    let depth = |line: &str| line.len() - line.trim_start().len();
    let filled = rest.lines().filter(|line| !line.trim().is_empty());
    let margin = filled.map(depth).min().unwrap_or_default();
    let rest = rest
        .lines()
        .map(|line| line.get(margin..).unwrap_or_default());
    let lines: Vec<&str> = std::iter::once(first).chain(rest).collect();
    lines.join("\n").trim().to_owned()
}
