//! The API server's and kubelet's side of a port-forward over a WebSocket: channel 0 carries data, channel 1 an error.

use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use super::server::Request;

pub(crate) async fn serve(mut stream: BufReader<TcpStream>, request: &Request, pod: SocketAddr) {
    let port: u16 = request.path.split_once("ports=").unwrap().1.parse().unwrap();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {}\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n",
        derive_accept_key(request.headers["sec-websocket-key"].as_bytes())
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    for channel in [0, 1] {
        let [low, high] = port.to_le_bytes();
        socket.send(Message::binary(vec![channel, low, high])).await.unwrap();
    }
    let Ok(mut pod) = TcpStream::connect(pod).await else {
        let why = format!("error forwarding port {port} to pod: connection refused");
        drop(socket.send(Message::binary([&[1], why.as_bytes()].concat())).await);
        drop(socket.close(None).await);
        return;
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    if pod.write_all(&bytes[1..]).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            read = pod.read(&mut buffer) => match read {
                Ok(n) if n > 0 => {
                    let sent = socket.send(Message::binary([&[0], &buffer[..n]].concat())).await;
                    if sent.is_err() {
                        return;
                    }
                }
                _ => {
                    drop(socket.close(None).await);
                    return;
                }
            },
        }
    }
}
