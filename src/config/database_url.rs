//! A database's address that never prints its password.
//! It says where the database is and of which kind; connecting is the store's work.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::{Error, Result};

/// The parameters that the driver knows; it would log others with their values.
const PARAMETERS: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Where a database is. `Display` and `Debug` show it without its password.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server and database; `shown` is safe to print.
    Postgres {
        /// The URL with its password.
        full: SecretString,
        /// The URL with the password starred out.
        shown: String,
    },
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH`, `sqlite:PATH`, `postgresql://…` or `postgres://…`.
    ///
    /// # Errors
    /// [`Error::Argument`] when it is none of them; the message never repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text
            .strip_prefix("sqlite://")
            .or_else(|| text.strip_prefix("sqlite:"))
        {
            let path = path.split('?').next().unwrap_or_default();
            if path.is_empty() || path == ":memory:" {
                return Err(Error::argument(
                    "a SQLite database needs a file: write sqlite://coinmill-data/snapshot.db, or sqlite:///absolute/path",
                ));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        let shape = "a database is written postgresql://user:password@host:5432/name or sqlite://path/to/file.db";
        let mut shown = Url::parse(text).map_err(|_| Error::argument(shape))?;
        if !matches!(shown.scheme(), "postgres" | "postgresql") {
            return Err(Error::argument(shape));
        }
        // a password that is not percent-encoded ends up in other parts of the URL, which would be shown
        let path = shown.path().trim_start_matches('/');
        if path.contains(['/', '@']) || shown.fragment().is_some() {
            return Err(Error::argument(format!(
                "{shape}; percent-encode what is special in the password (/ is %2F, @ is %40, # is %23)"
            )));
        }
        if shown
            .query_pairs()
            .any(|(name, _)| !PARAMETERS.contains(&&*name))
        {
            let known = PARAMETERS.join(", ");
            return Err(Error::argument(format!(
                "the database's URL has a parameter that is not known: these are {known}"
            )));
        }
        if shown.password().is_some() {
            shown
                .set_password(Some("***"))
                .map_err(|()| Error::argument(shape))?;
        }
        let pairs: Vec<(String, String)> = shown
            .query_pairs()
            .map(|(key, value)| {
                let secret = key == "password";
                (
                    key.into_owned(),
                    if secret {
                        "***".to_owned()
                    } else {
                        value.into_owned()
                    },
                )
            })
            .collect();
        if pairs.is_empty() {
            shown.set_query(None);
        } else {
            shown.query_pairs_mut().clear().extend_pairs(pairs);
        }
        Ok(Self::Postgres {
            full: SecretString::from(text),
            shown: shown.into(),
        })
    }

    /// The whole URL with its password, for the driver alone; `None` for SQLite.
    pub fn expose(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { full, .. } => Some(full.expose_secret()),
        }
    }

    /// True where it holds a password, in whichever place.
    pub fn has_password(&self) -> bool {
        let Some(url) = self.expose().and_then(|full| Url::parse(full).ok()) else {
            return false;
        };
        url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres { .. } => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres { shown, .. } => f.write_str(shown),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgresql://me:hunter2@h:1/db",
            "postgres://h/db?user=me&password=hunter2&sslmode=require",
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
            assert!(url.expose().unwrap().contains("hunter2"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for text in [
            "mysql://me:hunter2@h/db",
            "hunter2",
            "sqlite://",
            "sqlite::memory:",
        ] {
            let error = DatabaseUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
