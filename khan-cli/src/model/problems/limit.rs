//! Destinations that have nearly as many connections as they can take. When they have as many, the next client fails.

use khan_api::Kind;

use super::kind::{ProblemKind, Severity};
use super::pairs::{roughly, selector, some};
use super::problem::Problem;
use super::room::{Room, rooms};
use super::scene::Scene;
use crate::duration;
use crate::model::hash;
use crate::shell::quote;

/// One problem per destination.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    let rooms = rooms(scene.view).ok_or(scene.view.source.kind.profile().no_limits)?;
    let counts = |room: &&Room| room.fill() >= scene.rules.limit && room.concerns(scene.view, scene.query);
    let alone = |room: &Room| rooms.iter().filter(|other| other.app.text == room.app.text).count() == 1;
    Ok(rooms.iter().filter(counts).map(|room| problem(scene, room, alone(room))).collect())
}

/// `alone` when no other limit belongs to its app, whose name is then enough.
fn problem(scene: &Scene<'_>, room: &Room, alone: bool) -> Problem {
    let (used, limit) = (room.used, room.limit);
    let full = used >= u64::from(limit.get());
    let name = match (alone, room.end.owner.kind) {
        (true, _) => room.app.text.to_string(),
        (false, Kind::Service) => format!("svc/{}", room.end.text),
        (false, Kind::Pod) => format!("pod/{}", room.end.text),
        (false, _) => room.end.text.to_string(),
    };
    let mut sentence = format!("{name}: {used} of {limit} connections");
    if let Some((holder, held)) = room.holders.first() {
        let them = if *held == used { "all of them".to_owned() } else { format!("{held} of them") };
        sentence = format!("{sentence}, {} holds {them}", holder.text);
    }
    if full {
        sentence = format!("{sentence}: it is full");
    } else if let Some(left) = scene.memory.time_to_limit(room.key, u64::from(limit.get())) {
        sentence = format!("{sentence}, full in {} at this rate", duration::text(roughly(left)));
    }
    let holders: Vec<_> = room.holders.iter().map(|(end, n)| format!("{} ({n})", end.text)).collect();
    let mut evidence = vec![format!("held by {}", some(&holders))];
    if *room.app.text != *room.end.text {
        evidence.push(format!("the limit is that of {}", room.end.text));
    }
    if !room.nodes.is_empty() {
        evidence.push(format!("seen on {}", some(&room.nodes)));
    }
    let to = selector(&room.app).map_or_else(String::new, |selector| format!(" --to {}", quote(&selector)));
    Problem {
        kind: ProblemKind::Limit,
        severity: if full { Severity::Critical } else { Severity::Warning },
        sentence,
        evidence,
        since: None,
        owners: std::iter::once(&room.app)
            .chain(room.holders.iter().map(|(end, _)| end).take(1))
            .map(|end| end.text.to_string())
            .collect(),
        nodes: room.nodes.clone(),
        next: vec![format!("khan top{to} --group-by src-pod,dst"), format!("khan leaks{to}")],
        key: hash::chain(room.key, ProblemKind::Limit as u128),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        size: (room.fill() * 1000.0) as u64,
    }
}
