//! What a balance comes to, in words.

use std::time::Duration;

use khan_api::Timestamp;

use super::judge::Balance;
use super::load::{Condition, Load};
use crate::duration;

impl Balance {
    /// `401 on api-x, 11 on api-y, none on three (the oldest ready for 2h)`, with at most `most` names.
    pub fn sentence(&self, now: Timestamp, most: usize) -> String {
        let holding: Vec<_> = self.loads.iter().filter(|load| load.connections > 0).collect();
        let named = holding.iter().take(most);
        let mut parts: Vec<_> = named.map(|load| format!("{} on {}", load.connections, said(load))).collect();
        if let [_, ..] = &holding[holding.len().min(most)..] {
            let rest = &holding[most..];
            let sum: u64 = rest.iter().map(|load| load.connections).sum();
            parts.push(format!("{sum} on {} more", rest.len()));
        }
        let empty: Vec<_> = self.loads.iter().filter(|load| load.connections == 0).collect();
        let idle: Vec<_> = empty.iter().filter(|load| load.condition <= Condition::New).collect();
        if let Some(oldest) = idle.iter().min_by_key(|load| load.since).filter(|load| load.since.is_some()) {
            let time = oldest.since.map_or(Duration::ZERO, |since| now.since(since));
            let time = duration::text(duration::roughly(time));
            parts.push(match idle.len() {
                1 => format!("none on {} (ready for {time})", oldest.name),
                n => format!("none on {} (the oldest ready for {time})", number(n)),
            });
        } else if !idle.is_empty() {
            parts.push(format!("none on {}", number(idle.len())));
        }
        parts.join(", ")
    }

    /// `5 endpoints, 412 connections`
    pub fn numbers(&self) -> String {
        let endpoints = self.listed();
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        format!(
            "{endpoints} endpoint{}, {} connection{}",
            plural(endpoints as u64),
            self.connections,
            plural(self.connections)
        )
    }

    /// Endpoints that the service lists.
    pub fn listed(&self) -> usize {
        self.loads.iter().filter(|load| load.condition != Condition::Unlisted).count()
    }
}

/// `api-x`, or `api-x (terminating)`.
fn said(load: &Load) -> String {
    match load.condition {
        Condition::Ready | Condition::New => load.name.clone(),
        other => format!("{} ({})", load.name, other.as_str()),
    }
}

/// Small numbers in words.
fn number(n: usize) -> String {
    const WORDS: [&str; 10] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    WORDS.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}
