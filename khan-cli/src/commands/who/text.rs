//! The answer for people: who, since when, who before, and the largest peers.

use std::io::{self, Write};

use khan_api::{Kind, Owner};
use unicode_width::UnicodeWidthStr;

use super::{Answer, Peer};
use crate::output::table::clean;

const LISTED: usize = 20;

pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    for known in answer.addresses.iter().take(LISTED) {
        writeln!(out, "{}   {}", known.ip, clean(&describe(&known.owner)))?;
        if let Some(since) = known.since {
            writeln!(out, "   since {since}")?;
        }
        for before in &known.previous {
            let until = before.until.map_or_else(String::new, |until| format!(" until {until}"));
            writeln!(out, "   before: {} {}{until}", before.owner.kind, clean(&object(&before.owner)))?;
        }
    }
    if answer.addresses.len() > LISTED {
        writeln!(out, "... and {} more addresses", answer.addresses.len() - LISTED)?;
    }
    peers(out, "Connects to", &answer.connects_to)?;
    peers(out, "Connected from", &answer.connected_from)?;
    if !answer.unmasked.is_empty() {
        writeln!(out, "\nBehind the masquerade")?;
        for real in &answer.unmasked {
            let own = real.client.ip().to_string();
            let name = real.name.as_deref().filter(|name| **name != own);
            let name = name.map(|name| format!(" ({})", clean(name))).unwrap_or_default();
            writeln!(
                out,
                "   {} is {}{name}, which dialled {}, says node {}",
                real.seen,
                real.client,
                real.dialled,
                clean(&real.node)
            )?;
        }
    }
    Ok(())
}

/// One line: kind, name, app, workload, node; without what is empty or said already.
fn describe(owner: &Owner) -> String {
    if owner.name.is_empty() && owner.kind == Kind::Unknown {
        return "no known owner".to_owned();
    }
    let name = object(owner);
    let mut text = if name.is_empty() { owner.kind.to_string() } else { format!("{} {name}", owner.kind) };
    let facts = [("app", &*owner.app), ("workload", &*owner.workload), ("node", &*owner.node)];
    for (what, fact) in facts.into_iter().filter(|(_, fact)| !fact.is_empty() && owner.name != *fact) {
        text = format!("{text}, {what} {fact}");
    }
    text.trim_end().to_owned()
}

/// `NAMESPACE/NAME`, or the name.
fn object(owner: &Owner) -> String {
    if owner.ns.is_empty() { owner.name.to_string() } else { format!("{}/{}", owner.ns, owner.name) }
}

fn peers(out: &mut dyn Write, title: &str, peers: &[Peer]) -> io::Result<()> {
    if peers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = peers.iter().map(name).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0).max(title.len().saturating_sub(3));
    writeln!(out, "\n{title:<w$}   PORT   CONNS   EST%   IDLE", w = width + 3)?;
    for (peer, name) in peers.iter().zip(&names) {
        let port = peer.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
        let est = peer.est_percent.map_or_else(|| "-".to_owned(), |percent| percent.to_string());
        let (conns, idle) = (peer.conns, peer.idle);
        let gap = " ".repeat(width - name.width());
        writeln!(out, "   {name}{gap}   {port:>4}   {conns:>5}   {est:>4}   {idle:>4}")?;
    }
    Ok(())
}

/// The peer, and whose connections these are where that is not the present owner of the address.
fn name(peer: &Peer) -> String {
    match &peer.owner {
        Some(owner) if peer.previous => clean(&format!("{} (of the previous owner, {owner})", peer.peer)),
        _ => clean(&peer.peer),
    }
}
