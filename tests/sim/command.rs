//! `coinmill sim` as a process of its own: where it listens, which address it prints, and how a signal ends it.
//! What it serves is tested in the neighbouring files.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program, and what it has not printed yet.
struct Served {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Served {
    /// Starts it on a free port.
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coinmill"))
            .args(["sim", "--market-size", "20", "--port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// The address that it prints for machines.
    fn address(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _code = self.child.wait();
    }
}

/// The status line of a response to somebody who knows the server by this name.
fn ask(url: &str, path: &str, host: &str) -> String {
    let url: url::Url = url.parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap();
    let mut stream = TcpStream::connect(&*address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: coinmill-test\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.lines().next().unwrap().to_owned()
}

fn has_ipv6() -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("skipped: this machine has no IPv6");
    }
    has
}

#[test]
fn it_listens_where_it_is_told_and_prints_an_address_that_can_be_used() {
    for (arguments, origin, listens) in [
        (&[] as &[&str], "http://127.0.0.1:", "127.0.0.1:"),
        (&["--bind", "127.0.0.1"], "http://127.0.0.1:", "127.0.0.1:"),
        (&["--bind", "0.0.0.0"], "http://127.0.0.1:", "0.0.0.0:"),
        (&["--bind", "::1"], "http://[::1]:", "[::1]:"),
        (&["--bind", "::"], "http://[::1]:", "[::]:"),
    ] {
        if origin.contains("::") && !has_ipv6() {
            continue;
        }
        let mut served = Served::start(&[&["--json"], arguments].concat());
        let address = served.address();
        let [url, control, listening] = ["url", "control_url", "listens_on"]
            .map(|name| address[name].as_str().unwrap().to_owned());
        assert!(url.starts_with(origin), "{arguments:?}: {url}");
        assert!(control.starts_with(origin), "{arguments:?}: {control}");
        assert!(listening.starts_with(listens), "{arguments:?}: {listening}");
        // other containers know it by the name of its service
        for host in ["sim:8480", "localhost", "market.example"] {
            for path in ["/api/v3/ping", "/sim/clock"] {
                assert_eq!(ask(&url, path, host), "HTTP/1.1 200 OK", "{url} {path}");
            }
        }
    }
}

#[test]
fn people_are_told_when_the_whole_network_can_reach_it() {
    let mut everywhere = Served::start(&["--bind", "0.0.0.0"]);
    let line = everywhere.line();
    assert!(line.contains("coinmill sim at http://127.0.0.1:"), "{line}");
    let line = everywhere.line();
    assert!(line.contains("listens on all addresses"), "{line}");
    let mut here = Served::start(&[]);
    here.line();
    let line = here.line();
    assert!(!line.contains("addresses"), "{line}");
}

#[test]
fn an_address_that_is_none_is_a_matter_of_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_coinmill"))
        .args(["sim", "--bind", "sim"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--bind <ADDRESS>"), "{said}");
}

/// With a handler of its own, since a first process of a container has no default ones: an exit code and not a death by
/// the signal.
#[cfg(unix)]
#[test]
fn a_signal_ends_it_promptly_with_its_own_exit_code() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        for busy in [false, true] {
            let mut served = Served::start(&["--json", "--fault", "stall:times=0"]);
            let url = served.address()["url"].as_str().unwrap().to_owned();
            // a response that never ends must not keep it
            let waiting = busy.then(|| {
                let url: url::Url = url.parse().unwrap();
                let address = url.socket_addrs(|| None).unwrap();
                let mut stream = TcpStream::connect(&*address).unwrap();
                let request = "GET /api/v3/ping HTTP/1.1\r\nhost: sim\r\nuser-agent: x\r\n\r\n";
                stream.write_all(request.as_bytes()).unwrap();
                stream.read_exact(&mut [0]).unwrap();
                stream
            });
            let id = served.child.id().to_string();
            let began = Instant::now();
            assert!(
                Command::new("kill")
                    .args([signal, &id])
                    .status()
                    .unwrap()
                    .success()
            );
            let status = served.child.wait().unwrap();
            assert_eq!(status.code(), Some(code), "{signal}: {status}");
            assert!(began.elapsed() < Duration::from_secs(2), "{signal}");
            drop(waiting);
        }
    }
}
