//! The layers of `docs/architecture.md`, held against the code: imports point down, never sideways or up.
//! A child may use its neighbours below the same module, and never its parent's private half.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use std::fs;
use std::path::{Path, PathBuf};

const LAYERS: [(&str, u8); 23] = [
    ("error", 0),
    ("failpoint", 0),
    ("stamp", 0),
    ("market", 1),
    ("series", 1),
    ("clock", 1),
    ("stop", 1),
    ("contract", 1),
    ("config", 2),
    ("content", 2),
    ("landing", 2),
    ("derive", 2),
    ("http", 3),
    ("quality", 3),
    ("coingecko", 4),
    ("store", 4),
    ("frame", 5),
    ("pipeline", 6),
    ("sim", 6),
    ("cli", 7),
    ("remote", 8),
    ("python", 9),
    ("lib", 10),
];

fn layer(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top module that a file belongs to, and the top modules that it names after `crate::`.
fn imports(source: &Path, root: &Path) -> (String, Vec<String>) {
    let inside = source.strip_prefix(root).unwrap();
    let own = inside.components().next().unwrap().as_os_str();
    let own = own.to_str().unwrap().trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(source).unwrap();
    let named = text
        .split("crate::")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect();
    (own, named)
}

#[test]
fn imports_point_down_the_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    files(&root, &mut sources);
    assert!(sources.len() > 30, "the sources were not found");
    let mut wrong = Vec::new();
    for source in sources {
        let (own, named) = imports(&source, &root);
        if own == "main" {
            continue;
        }
        let from =
            layer(&own).unwrap_or_else(|| panic!("{own} has no layer: add it to the picture"));
        for name in named.into_iter().filter(|name| *name != own) {
            match layer(&name) {
                Some(to) if to < from => {}
                to => wrong.push(format!("{} uses {name} ({to:?})", source.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
