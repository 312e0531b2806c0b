use super::*;

fn header(run: &str) -> RunHeader {
    RunHeader {
        run: run.to_owned(),
        kind: "snapshot".to_owned(),
        slot: Some("1970-01-01T00:00Z".to_owned()),
        vs_currency: "usd".to_owned(),
        version: "0".to_owned(),
        started_at: DateTime::UNIX_EPOCH,
    }
}

fn arrival<'a>(body: &'a [u8], headers: &'a BTreeMap<String, String>) -> Arrival<'a> {
    Arrival {
        url: "http://h/coins/markets?page=1",
        status: 200,
        headers,
        body,
        received_at: DateTime::UNIX_EPOCH,
    }
}

fn day() -> NaiveDate {
    DateTime::UNIX_EPOCH.date_naive()
}

#[test]
fn a_body_comes_back_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(root.path(), day(), &header("r1")).unwrap();
    let headers = BTreeMap::from([("total".to_owned(), "1".to_owned())]);
    let body = b"[{\"id\":\"bitcoin\"}]";
    let landed = folder
        .land("/coins/../../markets", arrival(body, &headers))
        .unwrap();
    folder.sync().unwrap();
    assert_eq!(landed.path, "1970-01-01/r1/0001-coins-markets.zst");
    assert_eq!(read(root.path(), &landed).unwrap(), body);
    assert_eq!(
        runs_of(root.path(), day()).unwrap(),
        vec![(header("r1"), vec![landed])]
    );
}

#[test]
fn what_was_cut_off_does_not_count() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(root.path(), day(), &header("r1")).unwrap();
    let headers = BTreeMap::new();
    let landed = folder.land("a", arrival(b"[]", &headers)).unwrap();
    fs::write(folder.path().join("0002-b.zst.part"), b"half").unwrap();
    let manifest = folder.path().join(MANIFEST);
    let torn = fs::read_to_string(&manifest).unwrap() + "{\"path\":\"1970-01-01/r1/00";
    fs::write(&manifest, torn).unwrap();
    fs::create_dir(root.path().join("1970-01-01/empty")).unwrap();
    assert_eq!(runs_of(root.path(), day()).unwrap()[0].1, vec![landed]);
}

#[test]
fn a_damaged_or_missing_body_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(root.path(), day(), &header("r1")).unwrap();
    let headers = BTreeMap::new();
    let landed = folder.land("a", arrival(b"[]", &headers)).unwrap();
    let other = Landed {
        sha256: sha256(b"{}"),
        ..landed.clone()
    };
    assert!(
        read(root.path(), &other)
            .unwrap_err()
            .to_string()
            .contains("hash")
    );
    fs::write(root.path().join(&landed.path), b"junk").unwrap();
    assert!(
        read(root.path(), &landed)
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
    for path in ["../../etc/passwd", "a/../b", "/etc/passwd", "a/b/c/d"] {
        let hostile = Landed {
            path: path.to_owned(),
            ..landed.clone()
        };
        assert!(
            read(root.path(), &hostile)
                .unwrap_err()
                .to_string()
                .contains("inside"),
            "{path}"
        );
    }
}

#[test]
fn a_landing_that_cannot_be_written_names_the_setting() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a-file");
    fs::write(&file, b"").unwrap();
    let error = RunFolder::create(&file, day(), &header("r1")).unwrap_err();
    assert!(
        error.to_string().contains("COINMILL_LANDING_DIR"),
        "{error}"
    );
}

#[test]
fn a_body_is_found_by_its_path_and_hash_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(root.path(), day(), &header("r1")).unwrap();
    let headers = BTreeMap::new();
    folder.land("a", arrival(b"[]", &headers)).unwrap();
    let landed = folder.land("b", arrival(b"[1]", &headers)).unwrap();
    let find = |path: &str, sha256: &str| find(root.path(), path, sha256);
    assert_eq!(find(&landed.path, &landed.sha256).unwrap(), landed);
    for (path, hash) in [
        (landed.path.as_str(), sha256(b"{}")),
        ("1970-01-01/r1/0003-c.zst", landed.sha256.clone()),
        ("1970-01-01/r2/0002-b.zst", landed.sha256.clone()),
        ("../1970-01-01/r1/0002-b.zst", landed.sha256.clone()),
    ] {
        let error = find(path, &hash).unwrap_err().to_string();
        assert!(error.contains("restore the landing"), "{path}: {error}");
    }
}
