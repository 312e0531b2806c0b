//! A TCP proxy between the product and PostgreSQL that cuts a connection in the middle of rows, or falls silent there or at any
//! time: both ends stay open, and nothing passes any more.
//! It looks at the bytes that go to the server only for what rows follow on: a COPY's stream, or an insert of arrays.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the stream of a binary COPY begins, and what an insert of arrays has in its statement.
const SIGNATURES: [&[u8]; 2] = [b"PGCOPY\n\xff\r\n\0", b"select * from unnest($1"];

/// Where to cut: in the rows of a connection that have this number, after so many bytes from the signature on.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub rows: usize,
    pub bytes: usize,
}

/// A proxy that cuts once, when it is told where.
pub struct Proxy {
    url: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    cut: Mutex<Option<Cut>>,
    cuts: AtomicU64,
    /// A cut is silence.
    is_mute: AtomicBool,
    is_silent: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy before the server of a URL.
    pub async fn before(url: &str) -> Self {
        let mut url = url::Url::parse(url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        url.set_port(Some(port)).unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(&target).await.unwrap();
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = upstream.into_split();
                    // whichever ends takes the other with it, and both sockets close
                    tokio::select! {
                        () = look(from_client, to_server, &state) => {}
                        () = pass(from_server, to_client, &state) => {}
                    }
                });
            }
        });
        Self {
            url: url.into(),
            state,
            server,
        }
    }

    /// The URL of a database by way of the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts there, once.
    pub fn cut(&self, cut: Cut) {
        *self.state.cut.lock().unwrap() = Some(cut);
    }

    /// Falls silent there, once, instead of cutting.
    pub fn mute(&self, cut: Cut) {
        self.state.is_mute.store(true, Ordering::SeqCst);
        self.cut(cut);
    }

    /// Falls silent now, on all of its connections.
    pub fn fall_silent(&self) {
        self.state.is_silent.send_replace(true);
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn silence(state: &State) {
    let mut silent = state.is_silent.subscribe();
    let _never_dropped = silent.wait_for(|silent| *silent).await;
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    tokio::select! {
        _closed = tokio::io::copy(&mut from, &mut to) => {}
        () = silence(state) => std::future::pending().await,
    }
}

async fn look(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    // a half that is dropped closes its connection
    tokio::select! {
        () = forward(&mut from, &mut to, state) => {}
        () = silence(state) => std::future::pending().await,
    }
}

async fn forward(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, state: &State) {
    let mut buffer = vec![0; 1 << 14];
    let (mut matched, mut rows, mut left) = ([0; 2], 0, None);
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        let mut end = read;
        for (place, byte) in buffer[..read].iter().enumerate() {
            if left == Some(0) {
                end = place;
                break;
            }
            left = left.map(|left: usize| left - 1);
            for (matched, signature) in matched.iter_mut().zip(SIGNATURES) {
                *matched = match signature.get(*matched) {
                    Some(next) if next == byte => *matched + 1,
                    _ => usize::from(signature.first() == Some(byte)),
                };
                if *matched == signature.len() {
                    (*matched, rows) = (0, rows + 1);
                    let cut = *state.cut.lock().unwrap();
                    left = cut.filter(|cut| cut.rows == rows).map(|cut| cut.bytes);
                }
            }
        }
        let sent = to.write_all(&buffer[..end]).await;
        if end < read {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            *state.cut.lock().unwrap() = None;
            if state.is_mute.load(Ordering::SeqCst) {
                state.is_silent.send_replace(true);
                std::future::pending::<()>().await;
            }
            return;
        }
        if sent.is_err() {
            return;
        }
    }
}
