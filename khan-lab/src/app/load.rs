//! The demo's servers and clients. Each runs until it is killed, and connects again when a peer goes away.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use khan_lab::{LabError, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time;

use super::Client;

const RETRY: Duration = Duration::from_millis(200);

pub(super) fn serve(addresses: &[SocketAddr]) -> Result<ExitCode> {
    block_on(async {
        let mut servers = tokio::task::JoinSet::new();
        for &address in addresses {
            let failed = || LabError::io(format!("cannot listen on {address}"));
            let listener = TcpListener::bind(address).await.map_err(failed())?;
            // The port may have been picked by the system.
            let address = listener.local_addr().map_err(failed())?;
            let socket = UdpSocket::bind(address).await.map_err(failed())?;
            println!("Listening on {address}");
            servers.spawn(accept(listener));
            servers.spawn(answer(socket));
        }
        servers.join_all().await;
        Ok(ExitCode::SUCCESS)
    })
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => drop(tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            })),
            // Out of file descriptors, for instance: a server under a leak goes on.
            Err(_) => time::sleep(RETRY).await,
        }
    }
}

async fn answer(socket: UdpSocket) {
    let mut datagram = [0; 2048];
    loop {
        // An ICMP error for an earlier answer comes out here and concerns nobody.
        if let Ok((length, client)) = socket.recv_from(&mut datagram).await {
            let _ = socket.send_to(&datagram[..length], client).await;
        }
    }
}

pub(super) fn client(client: Client) -> Result<ExitCode> {
    block_on(async {
        time::sleep(client.after).await;
        let mut users = tokio::task::JoinSet::new();
        let (used, mut in_use) = mpsc::unbounded_channel();
        for _ in 0..client.connections {
            users.spawn(use_for_ever(client, used.clone()));
        }
        for _ in 0..client.connections {
            in_use.recv().await;
        }
        println!("Connected to {}", client.target);
        drop(in_use);
        users.join_all().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Sends something each time that it has connected and got an answer.
async fn use_for_ever(client: Client, used: UnboundedSender<()>) {
    // Nobody listens after the first time.
    let used = || {
        let _ = used.send(());
    };
    loop {
        let ended = match client {
            Client { udp: true, .. } => exchange_datagrams(client, used).await,
            Client { short: true, .. } => call_once(client.target).await.map(|()| used()),
            _ => keep_using(client, used).await,
        };
        time::sleep(if ended.is_ok() { client.every } else { RETRY }).await;
    }
}

async fn keep_using(client: Client, used: impl Fn()) -> io::Result<()> {
    let mut stream = TcpStream::connect(client.target).await?;
    request(&mut stream).await?;
    used();
    loop {
        time::sleep(client.every).await;
        request(&mut stream).await?;
    }
}

/// Closes first and waits for the server to close as well.
async fn call_once(target: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    request(&mut stream).await?;
    stream.shutdown().await?;
    stream.read(&mut [0]).await.map(drop)
}

async fn request(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"?").await?;
    stream.read_exact(&mut [0]).await.map(drop)
}

async fn exchange_datagrams(client: Client, used: impl Fn()) -> io::Result<()> {
    let any = match client.target {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(client.target).await?;
    loop {
        socket.send(b"?").await?;
        // A lost datagram is sent again.
        if let Ok(received) = time::timeout(client.every, socket.recv(&mut [0; 16])).await {
            received?;
            used();
        }
        time::sleep(client.every).await;
    }
}

pub(super) fn leak(target: SocketAddr, begin: usize, every: Duration) -> Result<ExitCode> {
    block_on(async {
        let mut leaked = Vec::new();
        let mut tick = time::interval(every);
        loop {
            if leaked.len() >= begin {
                tick.tick().await;
            }
            match TcpStream::connect(target).await {
                Ok(stream) => leaked.push(stream),
                Err(_) => time::sleep(RETRY).await,
            }
        }
    })
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(LabError::io("cannot start the runtime"))?.block_on(work)
}
