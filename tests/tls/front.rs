//! The server's side of PostgreSQL's TLS handshake, before a PostgreSQL that has none: what is in the clear beyond it goes on
//! to the real server, and what should not have been in the clear is counted.
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// The eight bytes with which a client asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What is answered to a client that asks for TLS.
#[derive(Clone)]
pub enum Answer {
    /// `S`, and a handshake with this certificate.
    Secure(Arc<ServerConfig>),
    /// `N`.
    Refuse,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Clients that asked for TLS.
    pub asked: u64,
    /// Bytes outside TLS that were not that question.
    pub in_the_clear: u64,
    /// Clients that went on over TLS.
    pub secured: u64,
}

#[derive(Default)]
struct Counts {
    open: AtomicU64,
    asked: AtomicU64,
    in_the_clear: AtomicU64,
    secured: AtomicU64,
}

/// A proxy that speaks TLS.
pub struct Front {
    url: String,
    counts: Arc<Counts>,
    server: JoinHandle<()>,
}

impl Front {
    /// A proxy before the database of a URL.
    pub async fn before(url: &str, answer: Answer) -> Self {
        let mut url = url::Url::parse(url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        url.set_port(Some(port)).unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (counts, answer) = (Arc::clone(&shared), answer.clone());
                let target = target.clone();
                counts.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    serve(client, target, answer, &counts).await;
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            url: url.into(),
            counts,
            server,
        }
    }

    /// The URL of the database by way of the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What came, once all clients have gone.
    pub async fn seen(&self) -> Seen {
        let gone = async {
            while self.counts.open.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone)
            .await
            .expect("a client stays");
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Seen {
            asked: read(&self.counts.asked),
            in_the_clear: read(&self.counts.in_the_clear),
            secured: read(&self.counts.secured),
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut client: TcpStream, target: String, answer: Answer, counts: &Counts) {
    let mut first = [0; 8];
    if client.read_exact(&mut first).await.is_err() {
        return;
    }
    if first != SSL_REQUEST {
        counts.in_the_clear.fetch_add(8, Ordering::SeqCst);
        return;
    }
    counts.asked.fetch_add(1, Ordering::SeqCst);
    match answer {
        Answer::Refuse => {
            client.write_all(b"N").await.unwrap();
            let mut rest = Vec::new();
            let _closed = client.read_to_end(&mut rest).await;
            let sent = u64::try_from(rest.len()).unwrap();
            counts.in_the_clear.fetch_add(sent, Ordering::SeqCst);
        }
        Answer::Secure(config) => {
            client.write_all(b"S").await.unwrap();
            // a client that does not believe the certificate ends the handshake
            let Ok(mut client) = TlsAcceptor::from(config).accept(client).await else {
                return;
            };
            let mut startup = [0; 4];
            if client.read_exact(&mut startup).await.is_err() {
                return;
            }
            counts.secured.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(target).await.unwrap();
            server.write_all(&startup).await.unwrap();
            let _closed = copy_bidirectional(&mut client, &mut server).await;
        }
    }
}
