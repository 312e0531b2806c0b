//! A bare HTTP client for tests: it sees a short body as short and sends no header that a test did not ask for.
//! It keeps no connection and follows nothing.

use coinmill::sim::Sim;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The header without which the market refuses.
pub const AGENT: &str = "user-agent: coinmill-test\r\n";

/// A response as it came off the socket.
pub struct Received {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// False where the body is shorter than was promised.
    pub is_whole: bool,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

pub async fn send(sim: &Sim, method: &str, target: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(sim.address()).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

pub async fn receive(mut stream: TcpStream) -> Received {
    let mut all = Vec::new();
    // A cut connection may end with an error, after what was sent before it.
    let _ = stream.read_to_end(&mut all).await;
    let end = all
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .expect("a response has a head");
    let mut received = Received {
        status: 0,
        head: String::from_utf8(all[..end].to_vec()).unwrap(),
        body: all[end + 4..].to_vec(),
        is_whole: false,
    };
    received.status = received.head.split(' ').nth(1).unwrap().parse().unwrap();
    if received.header("transfer-encoding") == Some("chunked") {
        (received.body, received.is_whole) = joined(&received.body);
    } else {
        let promised: usize = received.header("content-length").unwrap().parse().unwrap();
        received.is_whole = received.body.len() == promised;
    }
    received
}

/// The body that comes in these chunks, and whether the last of them is there.
fn joined(mut chunks: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|part| part == b"\r\n") {
        let length = std::str::from_utf8(&chunks[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let begin = end + 2;
        body.extend_from_slice(&chunks[begin..chunks.len().min(begin + length)]);
        chunks = chunks.get(begin + length + 2..).unwrap_or_default();
    }
    (body, false)
}

pub async fn get(sim: &Sim, target: &str) -> Received {
    let target = format!("/api/v3{target}");
    receive(send(sim, "GET", &target, AGENT, "").await).await
}

pub async fn control(sim: &Sim, method: &str, target: &str, body: &Value) -> Value {
    let received = receive(send(sim, method, target, "", &body.to_string()).await).await;
    assert_eq!(received.status, 200, "{}", received.text());
    received.json()
}
