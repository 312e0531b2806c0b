use super::*;
use crate::config::Settings;
use crate::provider::PlanKind;

fn resolve(arguments: &[(&str, &str)]) -> Result<Settings> {
    let arguments = arguments
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::resolve(&Layers::default().with_arguments(arguments)?)
}

#[test]
fn the_defaults_work_with_nothing_set() {
    let settings = resolve(&[]).unwrap();
    assert_eq!(settings.plan.kind, PlanKind::Keyless);
    assert_eq!(
        settings.api_url.as_str(),
        "https://api.coingecko.com/api/v3"
    );
    assert_eq!(
        settings.snapshot_url.to_string(),
        "sqlite://coinmill-data/snapshot.db"
    );
    assert_eq!((settings.top, settings.vs_currency.as_str()), (250, "usd"));
}

#[test]
fn a_folder_without_a_name_is_refused() {
    for name in ["data_dir", "landing_dir"] {
        for text in ["", "  "] {
            let said = resolve(&[(name, text)]).unwrap_err().to_string();
            assert!(
                said.starts_with(&format!("{name}: it is empty: name a folder")),
                "{said}"
            );
        }
    }
    let here = resolve(&[("data_dir", ".")]).unwrap();
    assert_eq!(here.snapshot_url.to_string(), "sqlite://./snapshot.db");
}

#[test]
fn a_key_chooses_the_demo_plan_and_paid_chooses_the_paid_host() {
    assert_eq!(
        resolve(&[("api_key", "CG-x")]).unwrap().plan.kind,
        PlanKind::Demo
    );
    let paid = resolve(&[
        ("api_key", "CG-x"),
        ("plan", "paid"),
        ("credits_per_month", "500000"),
    ])
    .unwrap();
    assert_eq!(paid.api_url.host_str(), Some("pro-api.coingecko.com"));
    assert_eq!(paid.plan.credits_per_month, Some(500_000));
}

#[test]
fn a_wrong_value_is_named_with_where_it_came_from_and_what_would_be_right() {
    for (name, value, says) in [
        ("plan", "free", "use keyless, demo, paid or unlimited"),
        (
            "top",
            "many",
            "\"many\" is not a whole number between 0 and 20000",
        ),
        ("top", "999999", "between 0 and 20000"),
        (
            "completeness",
            "95",
            "\"95\" is not a number between 0 and 1",
        ),
        ("credits_per_month", "lots", "a whole number of at least 0"),
        ("calls_per_minute", "0", "a whole number of at least 1"),
        ("retention_days_5m", "0", "a whole number of at least 1"),
        ("min_price", "cheap", "a number of at least 0"),
        (
            "snapshot_url",
            "mysql://u:hunter2@h/d",
            "postgresql://user:password@host:5432/name",
        ),
        ("coins", "bit coin", "cannot be a coin's id"),
        ("clock", "noon", "2026-01-31T00:30:00Z"),
        (
            "api_url",
            "api.coingecko.com",
            "https://api.coingecko.com/api/v3",
        ),
        ("vs_currency", "us dollars", "such as usd"),
        ("api_key", "CG-hunter2 x", "copy the key again"),
    ] {
        let error = resolve(&[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(says), "{name}={value}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_folder_that_is_named_here_is_where_the_data_are() {
    let elsewhere = [
        ("snapshot_url", "postgresql://db/snapshot"),
        ("timeseries_url", "postgresql://db/timeseries"),
        ("landing_dir", "/landing"),
        ("budget_url", "postgresql://db/budget"),
    ];
    let texts = |given: &[(&str, &str)]| -> BTreeMap<String, String> {
        let texts = given.iter();
        texts
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    };
    let layers = |arguments: &[(&str, &str)]| {
        let outside = Layers {
            environment: texts(&elsewhere[..2]),
            file: texts(&elsewhere[2..]),
            ..Layers::default()
        };
        outside.with_arguments(texts(arguments)).unwrap()
    };
    let trial = layers(&[("data_dir", "trial")]);
    // as another process is given them
    let again = Layers::default().with_arguments(trial.texts()).unwrap();
    for layers in [&trial, &again] {
        let settings = Settings::resolve(layers).unwrap();
        let shown = [&settings.snapshot_url, &settings.timeseries_url].map(ToString::to_string);
        assert_eq!(
            shown,
            ["sqlite://trial/snapshot.db", "sqlite://trial/timeseries.db"]
        );
        assert_eq!(settings.landing_dir, Path::new("trial/landing"));
        assert_eq!(settings.budget_url.to_string(), "postgresql://db/budget");
    }
    // but what is named beside it is meant, too
    let both = layers(&[("data_dir", "trial"), ("snapshot_url", "sqlite://s.db")]);
    let settings = Settings::resolve(&both).unwrap();
    assert_eq!(settings.snapshot_url.to_string(), "sqlite://s.db");
    let neither = Settings::resolve(&layers(&[])).unwrap();
    assert_eq!(neither.snapshot_url.to_string(), "postgresql://db/snapshot");
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let error = resolve(&[("vs_curency", "usd")]).unwrap_err().to_string();
    assert!(error.contains("did you mean \"vs_currency\"?"), "{error}");
}

#[test]
fn a_file_is_read_and_its_mistakes_are_named_without_its_secrets() {
    let file = parse_file(
        "coinmill.toml",
        "top = 5\ncoins = ['a', 'b']\nmin_price = 1e-9\n",
    )
    .unwrap();
    assert_eq!(file.get("coins").map(String::as_str), Some("a,b"));
    assert_eq!(file.get("top").map(String::as_str), Some("5"));
    for text in ["api_key = hunter2", "topp = 5", "top = { a = 1 }"] {
        let error = parse_file("coinmill.toml", text).unwrap_err().chain();
        assert!(
            error.contains("coinmill.toml") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn an_argument_wins_over_the_environment_and_the_environment_over_the_file() {
    let layer = |value: &str| BTreeMap::from([("top".to_owned(), value.to_owned())]);
    let mut layers = Layers {
        file: layer("1"),
        environment: layer("2"),
        ..Layers::default()
    };
    assert_eq!(layers.get("top"), Some("2"));
    layers = layers.with_arguments(layer("3")).unwrap();
    assert_eq!(layers.get("top"), Some("3"));
}

#[test]
fn secrets_do_not_print() {
    let settings = resolve(&[
        ("api_key", "hunter2"),
        ("snapshot_url", "postgresql://u:hunter2@h/d"),
    ])
    .unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn variables_of_the_databases_and_the_dag_are_not_taken_for_slips() {
    for name in [
        "schedule",
        "owner_password",
        "writer_password",
        "reader_password",
    ] {
        assert_eq!(misspelt(name), None, "{name}");
    }
    assert_eq!(misspelt("snapshot_ur"), Some("snapshot_url"));
}
