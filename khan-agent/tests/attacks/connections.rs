//! `GET /v1/connections` under callers that hang up, and under too many.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use khan_lab::{Host, Lab, Result, Seed, until};

use crate::support::{agent, threads};

const PATIENCE: Duration = Duration::from_mins(1);
const SHARE: f64 = 0.05;
const READING: [&str; 2] = ["connections", "scan"];

fn seed(node: &Host, entries: u32) -> Result {
    let client = |n: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n / 100);
    let port = |n: u32| u16::try_from(20_000 + n % 100).expect("a port");
    node.seed((0..entries).map(|n| Seed::tcp((client(n), port(n)), ([11, 0, 0, 1], 80)))).map(drop)
}

#[test]
fn callers_that_hang_up_pay_all_the_same() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    seed(&node, 20_000)?;
    let started = Instant::now();
    let agent = agent(&node, &["--interval", "1h"])?;
    agent.get_when_ready("/readyz")?;
    let address = agent.address()?;
    let mut most = 0;
    node.enter(|| {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            let mut callers: Vec<TcpStream> =
                (0..20).map(|_| TcpStream::connect(address).expect("a connection")).collect();
            for caller in &mut callers {
                caller.write_all(b"GET /v1/connections HTTP/1.1\r\nhost: n1\r\n\r\n").expect("sent");
            }
            most = threads(&agent, &READING).expect("it runs").1.max(most);
        }
    });
    let (cpu, _) = threads(&agent, &READING)?;
    let allowed = SHARE * started.elapsed().as_secs_f64();
    // The dump that is under way when the budget ends, and what one thread is behind in its account of ticks.
    let slack = 0.25;
    println!("{cpu:?} of CPU, {allowed:.2} s are allowed; {most} threads");
    assert!(cpu.as_secs_f64() <= allowed + slack, "{cpu:?} of CPU, {allowed} s are allowed");
    assert!((3..=16).contains(&most), "{most} threads");
    Ok(())
}

#[test]
fn who_comes_too_often_is_told_at_once_when_to_come_back() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    seed(&node, 100_000)?;
    let agent = agent(&node, &["--interval", "1h", "--max-scan-cpu", "1"])?;
    agent.get_when_ready("/readyz")?;
    let refused = until("an answer that refuses", PATIENCE, || {
        let began = Instant::now();
        let answer = agent.get("/v1/connections?limit=1").expect("an answer");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?} until {answer:?}", began.elapsed());
        assert!([200, 429].contains(&answer.status), "{answer:?}");
        (answer.status == 429).then_some(answer)
    })?;
    let seconds: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
    assert!(seconds > 3, "{refused:?}");
    assert!(refused.body.contains("--max-scan-cpu"), "{refused:?}");
    Ok(())
}
