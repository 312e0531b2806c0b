//! Settings as they may be written down: without keys and passwords, but with the memory that they are needed.
//! It writes nothing itself; whoever gets them back reads the secrets from the environment or the file, as ever.

use std::collections::BTreeMap;
use std::path::{PathBuf, absolute};

use super::{DatabaseUrl, Layers, Settings};
use crate::error::{Error, Result};

/// Arguments without secrets, and what has to be set where they are used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portable {
    /// The arguments, with the address of each database that has no password.
    pub given: BTreeMap<String, String>,
    /// What is left out, by setting: a database as it is shown, with its password starred; of a key nothing.
    pub needs: BTreeMap<String, String>,
}

impl Portable {
    /// What of these settings may be written down; they were made with `given` as arguments.
    pub fn of(given: &BTreeMap<String, String>, settings: &Settings) -> Self {
        let mut portable = Self {
            given: given.clone(),
            needs: BTreeMap::new(),
        };
        portable.given.remove("api_key");
        if settings.api_key.is_some() {
            portable.needs.insert("api_key".to_owned(), String::new());
        }
        for (name, url) in databases(settings) {
            let shown = url.to_string();
            let is_whole = !url.has_password()
                && DatabaseUrl::parse(&shown).is_ok_and(|again| again.to_string() == shown);
            if is_whole {
                portable.given.insert(name.to_owned(), shown);
            } else {
                portable.given.remove(name);
                portable.needs.insert(name.to_owned(), shown);
            }
        }
        // bytes are received beside the files that are filled from them
        let landing = settings.landing_dir.to_str();
        if let (Some(_), Some(landing)) = (settings.snapshot_url.file(), landing)
            && settings.landing_dir.is_relative()
        {
            portable
                .given
                .insert("landing_dir".to_owned(), landing.to_owned());
        }
        portable
    }
}

/// Arguments whose files and folders stay the same ones, wherever the process goes and the arguments are taken.
///
/// # Errors
/// [`Error::Config`] where a path is relative and there is no current folder.
pub fn settled(mut given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    for (name, text) in &mut given {
        let (scheme, path) = match (name.as_str(), DatabaseUrl::parse(text)) {
            ("config" | "data_dir" | "landing_dir", _) => ("", PathBuf::from(text.trim())),
            (_, Ok(DatabaseUrl::Sqlite(path))) => ("sqlite://", path),
            _ => continue,
        };
        // what is empty is refused where it is read
        if path.as_os_str().is_empty() || path.is_absolute() {
            continue;
        }
        let path = absolute(&path).map_err(|error| {
            let path = path.display();
            Error::config(format!(
                "{name}: {path} is relative, and there is no current folder"
            ))
            .because(error)
        })?;
        if let Some(path) = path.to_str() {
            *text = format!("{scheme}{path}");
        }
    }
    Ok(given)
}

/// The settings that these layers give, once they have what is needed.
///
/// # Errors
/// [`Error::Config`] naming the variable of a key that is not there, or of another database than the one that is needed;
/// otherwise as [`Settings::resolve`].
pub fn resolve_with(needs: &BTreeMap<String, String>, layers: &Layers) -> Result<Settings> {
    let has_key = layers
        .get("api_key")
        .is_some_and(|key| !key.trim().is_empty());
    if needs.contains_key("api_key") && !has_key {
        return Err(Error::config(
            "this Mill had an API key when it was pickled, and a pickle carries none: set COINMILL_API_KEY here, too",
        ));
    }
    let settings = Settings::resolve(layers)?;
    let found: BTreeMap<_, _> = databases(&settings)
        .map(|(name, url)| (name, url.to_string()))
        .collect();
    for (name, needed) in needs.iter().filter(|(name, _)| *name != "api_key") {
        let variable = super::layers::env_name(name);
        match found.get(name.as_str()) {
            Some(found) if found == needed => {}
            Some(found) if layers.get(name).is_some() => {
                return Err(Error::config(format!(
                    "this Mill was pickled with {needed}, and {variable} names {found} here: set it to the same database, or \
                     make a new Mill for this one"
                )));
            }
            _ => {
                return Err(Error::config(format!(
                    "this Mill was pickled with {needed}, and a pickle carries no password: set {variable} here, too"
                )));
            }
        }
    }
    Ok(settings)
}

fn databases(settings: &Settings) -> impl Iterator<Item = (&'static str, &DatabaseUrl)> {
    [
        ("snapshot_url", Some(&settings.snapshot_url)),
        ("timeseries_url", Some(&settings.timeseries_url)),
        ("snapshot_owner_url", settings.snapshot_owner_url.as_ref()),
        (
            "timeseries_owner_url",
            settings.timeseries_owner_url.as_ref(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, url)| Some((name, url?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn layers(pairs: &[(&str, &str)]) -> Layers {
        Layers::default().with_arguments(map(pairs)).unwrap()
    }

    fn portable(pairs: &[(&str, &str)]) -> Portable {
        let settings = Settings::resolve(&layers(pairs)).unwrap();
        Portable::of(&map(pairs), &settings)
    }

    #[test]
    fn what_is_no_secret_is_written_down_with_the_databases() {
        let portable = portable(&[("top", "5"), ("snapshot_url", "postgresql://me@h/db")]);
        assert_eq!(portable.given["top"], "5");
        assert_eq!(portable.given["snapshot_url"], "postgresql://me@h/db");
        assert_eq!(
            portable.given["timeseries_url"],
            "sqlite://coinmill-data/timeseries.db"
        );
        assert!(portable.needs.is_empty());
    }

    #[test]
    fn neither_a_key_nor_a_password_is_written_down_in_any_form() {
        let portable = portable(&[
            ("api_key", "CG-hush"),
            ("snapshot_url", "postgresql://me:h%75sh@h/db"),
            ("timeseries_url", "postgresql://h/db?user=me&password=hush"),
            ("snapshot_owner_url", "postgresql://o:hush@h/db"),
        ]);
        let written = format!("{portable:?}");
        assert!(
            !written.contains("hush") && !written.contains("h%75sh"),
            "{written}"
        );
        assert_eq!(portable.needs["snapshot_url"], "postgresql://me:***@h/db");
        assert_eq!(portable.needs.len(), 4);
    }

    #[test]
    fn what_is_needed_has_to_be_there_and_the_same() {
        let needs = map(&[
            ("api_key", ""),
            ("snapshot_url", "postgresql://me:***@h/db"),
        ]);
        let whole = [
            ("api_key", "CG-other"),
            ("snapshot_url", "postgresql://me:other@h/db"),
        ];
        assert!(resolve_with(&needs, &layers(&whole)).is_ok());
        for (set, says) in [
            (vec![], "set COINMILL_API_KEY"),
            (vec![("api_key", " ")], "set COINMILL_API_KEY"),
            (vec![whole[0]], "set COINMILL_SNAPSHOT_URL here"),
            (
                vec![whole[0], ("snapshot_url", "postgresql://me:x@h/other")],
                "COINMILL_SNAPSHOT_URL names postgresql://me:***@h/other here",
            ),
            (
                vec![whole[0], ("snapshot_url", "sqlite://mine.db")],
                "names sqlite://mine.db here",
            ),
        ] {
            let error = resolve_with(&needs, &layers(&set)).unwrap_err();
            assert!(matches!(error, Error::Config { .. }));
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn files_and_folders_stay_the_same_ones() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        let settled = settled(map(&[
            ("config", "mine.toml"),
            ("data_dir", " ./trial/../trial "),
            ("landing_dir", "/bytes"),
            ("snapshot_url", "sqlite:a.db"),
            ("timeseries_url", "postgresql://me@h/db"),
            ("api_url", "http://localhost:1"),
            ("top", "5"),
        ]));
        let expected = map(&[
            ("config", &format!("{here}/mine.toml")),
            ("data_dir", &format!("{here}/trial/../trial")),
            ("landing_dir", "/bytes"),
            ("snapshot_url", &format!("sqlite://{here}/a.db")),
            ("timeseries_url", "postgresql://me@h/db"),
            ("api_url", "http://localhost:1"),
            ("top", "5"),
        ]);
        assert_eq!(settled.unwrap(), expected);
        // the default landing lies beside the files
        let portable = portable(&[]);
        assert_eq!(portable.given["landing_dir"], "coinmill-data/landing");
    }

    #[test]
    fn a_file_whose_address_cannot_be_read_again_has_to_be_the_same() {
        let portable = portable(&[("data_dir", "odd?")]);
        assert_eq!(portable.needs["snapshot_url"], "sqlite://odd?/snapshot.db");
        assert!(resolve_with(&portable.needs, &layers(&[("data_dir", "odd?")])).is_ok());
    }
}
