//! The layers of `docs/architecture.md`, held against the code: imports point down, never sideways or up.
//! A child may use its neighbours below the same module, without going round in a circle, and never its parent's private half.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LAYERS: [(&str, u8); 28] = [
    ("error", 0),
    ("failpoint", 0),
    ("stamp", 0),
    ("statements", 0),
    ("market", 1),
    ("series", 1),
    ("clock", 1),
    ("stop", 1),
    ("contract", 1),
    ("provider", 1),
    ("config", 2),
    ("content", 2),
    ("landing", 2),
    ("derive", 2),
    ("frame", 2),
    ("candles", 2),
    ("indicators", 2),
    ("planner", 2),
    ("http", 3),
    ("quality", 3),
    ("coingecko", 4),
    ("store", 4),
    ("pipeline", 5),
    ("sim", 5),
    ("cli", 6),
    ("remote", 7),
    ("python", 8),
    ("lib", 9),
];

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

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
        .map(|rest| rest.chars().take_while(|c| is_of_a_name(*c)).collect())
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

/// The neighbours of one folder, each with those that it names; what only its tests use does not count.
fn neighbours(folder: &Path, root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let sources = fs::read_dir(folder).unwrap();
    let sources: BTreeMap<String, PathBuf> = sources
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    let inside = folder.strip_prefix(root).unwrap().to_str().unwrap();
    let parent = format!("crate::{}::", inside.replace('/', "::"));
    let named = |path: &PathBuf| -> BTreeSet<String> {
        let text = fs::read_to_string(path)
            .unwrap()
            .replace(&parent, "super::");
        let text = text.split("#[cfg(test)]").next().unwrap();
        text.split("super::")
            .skip(1)
            .flat_map(|rest| {
                let list = rest
                    .strip_prefix('{')
                    .and_then(|list| list.split(';').next());
                let first = rest.split(|c: char| !is_of_a_name(c)).next();
                let names = list.map(|list| list.split(|c: char| !is_of_a_name(c)).collect());
                names.unwrap_or_else(|| Vec::from_iter(first))
            })
            .filter(|name| sources.contains_key(*name))
            .map(str::to_owned)
            .collect()
    };
    let named = sources
        .iter()
        .map(|(name, path)| (name.clone(), named(path)));
    named.collect()
}

#[test]
fn neighbours_of_a_folder_import_each_other_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    files(&root, &mut sources);
    let folders: BTreeSet<&Path> = sources
        .iter()
        .filter_map(|source| source.parent())
        .collect();
    let mut imports = 0;
    for folder in folders.into_iter().filter(|folder| *folder != root) {
        let mut left = neighbours(folder, &root);
        imports += left.values().map(BTreeSet::len).sum::<usize>();
        // whoever names none of those that are left is below them; in a circle everybody names another
        loop {
            let above: BTreeMap<_, _> = left
                .iter()
                .filter(|(own, named)| {
                    named
                        .iter()
                        .any(|name| name != *own && left.contains_key(name))
                })
                .map(|(own, named)| (own.clone(), named.clone()))
                .collect();
            if above.len() == left.len() {
                break;
            }
            left = above;
        }
        assert!(
            left.is_empty(),
            "a circle in {}: {left:#?}",
            folder.display()
        );
    }
    assert!(imports > 100, "the imports were not found: {imports}");
}
