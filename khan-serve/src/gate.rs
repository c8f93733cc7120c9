//! A bound that all requests of the process share: bytes of memory, or places for work that costs CPU.
//!
//! A request [enters](Gate::enter) before it takes anything and holds a [`Pass`] for as long as it does. When there is no
//! room it waits in a queue in which peers take turns; and while somebody waits, holders that keep the server waiting are
//! cut, the slowest of the peer that holds most first. Where none does, as when the server has long to do for one peer, that
//! yields to another that holds nothing. So a peer costs nothing that others need, and nobody waits longer than
//! [`Bounds::patience`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::exchange::Exchange;
use crate::peer::Peer;
use crate::ring::Ring;
use crate::shed::{self, How, Shed};

/// How often slow holders are looked for while somebody waits.
const WATCH: Duration = Duration::from_millis(50);

/// Requests that a peer may have under way whatever others want.
const FEW: usize = 4;

/// What a gate lets through.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What is bounded, for the metrics and for who is refused.
    pub name: &'static str,
    /// How much all holders together may hold.
    pub capacity: usize,
    /// How much each one holds at first. At most `capacity`.
    pub entry: usize,
    /// How many may wait.
    pub waiting: usize,
    /// How long each may wait.
    pub patience: Duration,
    /// How long a holder may keep the server waiting while others need the room. `None` for work that peers cannot hold up.
    pub grace: Option<Duration>,
}

/// A shared bound. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    used: usize,
    holders: BTreeMap<u64, Holder>,
    waiting: Ring<Waiting>,
    watched: bool,
}

#[derive(Debug)]
struct Holder {
    exchange: Exchange,
    units: usize,
}

#[derive(Debug)]
struct Waiting {
    exchange: Exchange,
    since: Instant,
    enter: oneshot::Sender<Pass>,
}

/// A share of a gate's capacity; given back when it is dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    number: u64,
}

impl Gate {
    /// Nobody holds anything yet.
    pub fn new(bounds: Bounds) -> Self {
        assert!(bounds.entry <= bounds.capacity, "{} would let nobody in", bounds.name);
        Self(Arc::new(Inner { bounds, places: Mutex::default() }))
    }

    /// Takes [`Bounds::entry`] for the request of `exchange`, once there is room.
    pub async fn enter(&self, exchange: &Exchange) -> Result<Pass, Shed> {
        let Bounds { name, capacity, entry, waiting: most, patience, .. } = self.0.bounds;
        let (number, entered) = {
            let mut places = self.places();
            places.next += 1;
            let number = places.next;
            if places.waiting.len() == 0 && places.used + entry <= capacity {
                places.used += entry;
                places.holders.insert(number, Holder { exchange: exchange.clone(), units: entry });
                return Ok(Pass { gate: self.clone(), number });
            }
            // Whoever has most waiting makes room for another peer, never for itself.
            let own = places.waiting.len_of(exchange.peer());
            if places.waiting.len() >= most && places.waiting.pop_longest(own + 1).is_none() {
                return Err(Shed::refused(name));
            }
            let (enter, entered) = oneshot::channel();
            places.waiting.push(
                exchange.peer(),
                number,
                Waiting { exchange: exchange.clone(), since: Instant::now(), enter },
            );
            if !std::mem::replace(&mut places.watched, true) {
                tokio::spawn(self.clone().watch());
            }
            (number, entered)
        };
        let place = Queued { gate: self, peer: exchange.peer(), number };
        let outcome = timeout(patience, entered).await;
        drop(place);
        match outcome {
            Ok(Ok(pass)) => Ok(pass),
            _ => Err(Shed::refused(name)),
        }
    }

    /// How much is held now.
    pub fn used(&self) -> usize {
        self.places().used
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets in who waits and fits. What is handed over afterwards may come back at once, so the lock must be free by then.
    fn admit(&self, mut places: std::sync::MutexGuard<'_, Places>) {
        let mut admitted = Vec::new();
        while places.waiting.len() > 0 && places.used + self.0.bounds.entry <= self.0.bounds.capacity {
            let Some((number, Waiting { exchange, enter, .. })) = places.waiting.pop() else { break };
            places.used += self.0.bounds.entry;
            places.holders.insert(number, Holder { exchange, units: self.0.bounds.entry });
            admitted.push((enter, Pass { gate: self.clone(), number }));
        }
        drop(places);
        for (enter, pass) in admitted {
            // Whoever has left meanwhile gives its pass back by this.
            let _ = enter.send(pass);
        }
    }

    /// Cuts slow holders for as long as somebody waits.
    async fn watch(self) {
        loop {
            sleep(WATCH).await;
            let mut places = self.places();
            if places.waiting.len() == 0 {
                places.watched = false;
                return;
            }
            if let Some(grace) = self.0.bounds.grace {
                let wanted = places.used + places.waiting.len().saturating_mul(self.0.bounds.entry);
                places.cut(self.0.bounds.name, wanted.saturating_sub(self.0.bounds.capacity), grace);
                places.share(&self.0.bounds, grace);
            }
            self.admit(places);
        }
    }

    /// Changes what a holder holds. To make room for more, whoever holds most has to yield, be it the holder itself.
    fn resize(&self, number: u64, units: usize) -> Result<(), Shed> {
        let Bounds { name, capacity, .. } = self.0.bounds;
        let mut places = self.places();
        loop {
            let Some(holder) = places.holders.get_mut(&number) else { return Err(Shed::refused(name)) };
            let more = units.saturating_sub(holder.units);
            if more == 0 || units <= holder.units || places.used + more <= capacity {
                break;
            }
            let loser = places.largest().filter(|loser| *loser != number);
            let Some(loser) = loser else { return Err(Shed::refused(name)) };
            places.evict(name, loser);
        }
        let before = places.holders.get_mut(&number).map(|holder| std::mem::replace(&mut holder.units, units));
        places.used = places.used + units - before.unwrap_or_default();
        if before > Some(units) {
            self.admit(places);
        }
        Ok(())
    }
}

impl Places {
    /// Cuts holders that kept the server waiting for longer than `grace` until `units` are free or there is none: those of
    /// the peer that holds most first, the slowest of them first.
    fn cut(&mut self, name: &'static str, units: usize, grace: Duration) {
        let totals = self.totals();
        let mut slow: Vec<(usize, Duration, u64)> = self
            .holders
            .iter()
            .map(|(number, holder)| (totals[&holder.exchange.peer()], holder.exchange.kept_waiting(), *number))
            .filter(|(_, waited, _)| *waited > grace)
            .collect();
        slow.sort_unstable_by(|one, other| other.cmp(one));
        let mut freed = 0;
        for (_, _, number) in slow {
            if freed >= units {
                return;
            }
            freed += self.evict(name, number);
        }
    }

    /// Where there is no room and a peer that holds nothing has waited for longer than `grace`, one that holds more than an equal share
    /// gives up one request, slow or not. A few requests are nobody's too many.
    fn share(&mut self, &Bounds { name, capacity, entry, .. }: &Bounds, grace: Duration) {
        if self.used + entry <= capacity {
            return;
        }
        let totals = self.totals();
        let left_out =
            |(peer, waiting): (Peer, &Waiting)| !totals.contains_key(&peer) && waiting.since.elapsed() > grace;
        if !self.waiting.first_of_each().any(left_out) {
            return;
        }
        let Some(loser) = self.largest() else { return };
        let held = totals[&self.holders[&loser].exchange.peer()];
        if held > (capacity / (totals.len() + 1)).max(FEW * entry) {
            self.evict(name, loser);
        }
    }

    /// Of the peer that holds most, the holder that kept the server waiting for longest.
    fn largest(&self) -> Option<u64> {
        let totals = self.totals();
        let holder = self.holders.iter().max_by_key(|(number, holder)| {
            (totals[&holder.exchange.peer()], holder.exchange.kept_waiting(), holder.units, **number)
        });
        holder.map(|(number, _)| *number)
    }

    fn totals(&self) -> HashMap<Peer, usize> {
        let mut totals = HashMap::new();
        for holder in self.holders.values() {
            *totals.entry(holder.exchange.peer()).or_default() += holder.units;
        }
        totals
    }

    fn evict(&mut self, name: &'static str, number: u64) -> usize {
        let Some(holder) = self.holders.remove(&number) else { return 0 };
        self.used -= holder.units;
        holder.exchange.cut();
        shed::count(name, How::Cut);
        holder.units
    }
}

impl Pass {
    /// Holds so much from now on; fails when there is no room for more, and when the pass was taken back.
    pub fn hold(&self, units: usize) -> Result<(), Shed> {
        self.gate.resize(self.number, units)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut places = self.gate.places();
        // One that was taken back is not held any more.
        if let Some(holder) = places.holders.remove(&self.number) {
            places.used -= holder.units;
            self.gate.admit(places);
        }
    }
}

/// Leaves the queue however the wait ends.
struct Queued<'a> {
    gate: &'a Gate,
    peer: Peer,
    number: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let waiting = self.gate.places().waiting.remove(self.peer, self.number);
        // Not under the lock.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::exchange::{Phase, State};

    fn exchange(peer: u8) -> Exchange {
        let state = State::new(IpAddr::from(Ipv4Addr::new(10, 0, 0, peer)));
        state.enter(Phase::Serving);
        Exchange(state)
    }

    fn gate(waiting: usize, grace: Option<Duration>) -> Gate {
        Gate::new(Bounds { name: "test", capacity: 100, entry: 10, waiting, patience: Duration::from_secs(5), grace })
    }

    async fn fill(gate: &Gate, peer: u8, count: usize) -> Vec<(Exchange, Pass)> {
        let mut held = Vec::new();
        for _ in 0..count {
            let exchange = exchange(peer);
            let pass = gate.enter(&exchange).await.unwrap();
            held.push((exchange, pass));
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_goes_to_who_waits_and_nobody_waits_for_ever() {
        let gate = gate(2, None);
        let mut held = fill(&gate, 1, 10).await;
        let (gate2, late) = (gate.clone(), exchange(2));
        let waiting = tokio::spawn(async move { gate2.enter(&late).await });
        tokio::task::yield_now().await;
        held.pop();
        let pass = waiting.await.unwrap().unwrap();
        assert_eq!(gate.used(), 100);
        assert_eq!(gate.enter(&exchange(3)).await.unwrap_err(), Shed::refused("test"));
        drop((pass, held));
        assert_eq!((gate.used(), gate.places().waiting.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_takes_in_another_peer_but_no_more_of_the_same() {
        let gate = gate(3, None);
        let held = fill(&gate, 1, 10).await;
        let ask = |peer| {
            let (gate, exchange) = (gate.clone(), exchange(peer));
            tokio::spawn(async move { gate.enter(&exchange).await.map(drop) })
        };
        let flood: Vec<_> = (0..3).map(|_| ask(1)).collect();
        tokio::task::yield_now().await;
        assert!(ask(1).await.unwrap().is_err(), "the queue is full of its own");
        let honest = ask(2);
        tokio::task::yield_now().await;
        drop(held);
        assert!(honest.await.unwrap().is_ok());
        let mut served = 0;
        for task in flood {
            served += usize::from(task.await.unwrap().is_ok());
        }
        assert_eq!(served, 2, "one of the flood made room");
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_are_cut_when_others_wait_and_only_then() {
        let gate = gate(10, Some(Duration::from_millis(500)));
        let mut held = fill(&gate, 1, 10).await;
        held[3].0.0.awaits_body();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(gate.used(), 100, "nobody needs it");
        let pass = gate.enter(&exchange(2)).await.unwrap();
        // The one that kept the server waiting has lost its pass; the others still have theirs.
        assert!(held[3].1.hold(10).is_err());
        held.remove(3).0.0.closed().await;
        assert!(held.iter().all(|(_, pass)| pass.hold(10).is_ok()));
        drop((pass, held));
        assert_eq!(gate.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_all_the_servers_time_yields_to_one_that_holds_nothing() {
        let grace = Some(Duration::from_millis(500));
        let busy = gate(10, grace);
        let held = fill(&busy, 1, 10).await;
        let begun = Instant::now();
        let pass = busy.enter(&exchange(2)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(held.iter().filter(|(_, pass)| pass.hold(10).is_err()).count(), 1);
        drop((pass, held));
        // Where each holds its share, nobody yields.
        let shared = gate(10, grace);
        let mut held = Vec::new();
        for peer in 1..=10 {
            held.extend(fill(&shared, peer, 1).await);
        }
        assert!(shared.enter(&exchange(11)).await.is_err());
        assert!(held.iter().all(|(_, pass)| pass.hold(10).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_grows_beyond_the_room_loses_to_who_holds_less() {
        let gate = gate(10, None);
        let (greedy, honest) = (fill(&gate, 1, 2).await, fill(&gate, 2, 1).await);
        greedy[0].1.hold(40).unwrap();
        greedy[1].1.hold(40).unwrap();
        greedy[0].0.0.awaits_body();
        tokio::time::advance(Duration::from_secs(1)).await;
        honest[0].1.hold(30).unwrap();
        assert!(greedy[0].1.hold(40).is_err(), "of two that hold as much the slow one went");
        assert!(greedy[1].1.hold(80).is_err(), "whoever holds most does not displace others");
        assert_eq!(gate.used(), 70);
        honest[0].1.hold(10).unwrap();
        assert_eq!(gate.used(), 50);
    }
}
