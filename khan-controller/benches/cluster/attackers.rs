//! Peers that take all they can get, from another address than the agents: bodies that never end, answers that nobody
//! reads, connections that pipeline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::generate::pod_ip;

const MOST: usize = 100_000;
const PAUSE: Duration = Duration::from_millis(500);

async fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind("127.0.0.2:0".parse().expect("an address"))?;
    socket.connect(to).await
}

fn request(addresses: usize) -> Vec<u8> {
    let ips: Vec<String> = (0..addresses).map(|n| format!("\"{}\"", pod_ip(n))).collect();
    let body = format!("{{\"cursor\":null,\"ips\":[{}]}}", ips.join(","));
    format!("POST /v1/resolve HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// All at once, each coming back when it is cut, until the tasks are dropped.
pub(crate) fn all(to: SocketAddr) -> JoinSet<()> {
    let (large, small) = (request(MOST), request(1000));
    let pipelined = b"GET /v1/identities/10.128.0.2 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
    let mut tasks = JoinSet::new();
    for (count, text, how) in [
        (100, &large[..large.len() - 1], Then::Wait),
        (128, &large[..], Then::Sleep),
        (1100, &small[..small.len() - 1], Then::Wait),
        (128, &pipelined[..], Then::Repeat),
    ] {
        let text: Arc<[u8]> = text.into();
        for _ in 0..count {
            let text = Arc::clone(&text);
            tasks.spawn(async move {
                loop {
                    // Cut, mostly.
                    let _ = attack(to, &text, how).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
    }
    tasks
}

/// What follows a request.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing, until the connection is cut.
    Wait,
    /// Not even reading.
    Sleep,
    /// The same again and again, and all answers are read.
    Repeat,
}

async fn attack(to: SocketAddr, text: &[u8], then: Then) -> std::io::Result<()> {
    let mut stream = connect(to).await?;
    stream.write_all(text).await?;
    match then {
        Then::Wait => stream.read(&mut [0; 64]).await.map(drop),
        Then::Sleep => {
            tokio::time::sleep(20 * PAUSE).await;
            Ok(())
        }
        Then::Repeat => {
            let (mut read, mut write) = stream.split();
            let mut buffer = vec![0; 16 * 1024];
            let writing = async { while write.write_all(text).await.is_ok() {} };
            let reading = async { while read.read(&mut buffer).await.is_ok_and(|n| n > 0) {} };
            tokio::select! { () = writing => Ok(()), () = reading => Ok(()) }
        }
    }
}
