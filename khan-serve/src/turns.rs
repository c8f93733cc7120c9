//! Who computes next. Futures and bodies are polled one after another in a fair order, each poll a slice of well below a
//! millisecond, so that a runtime with one thread never has a queue of work in front of a probe, and a peer with a hundred
//! pipelining connections gets as many slices as a peer with one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::exchange::State;
use crate::peer::Peer;
use crate::ring::Ring;

/// The slices of the process.
#[derive(Debug)]
pub(crate) struct Turns {
    at_once: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    // Turns that were given and are not over.
    running: usize,
    // Those of them that nobody has taken yet. A handful, so a list.
    given: Vec<u64>,
    waiting: Ring<Waker>,
}

impl Turns {
    /// `at_once` is the number of threads that poll.
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self { at_once, queue: Mutex::default() })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Queue) -> T) -> T {
        f(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A turn is over, or its owner has gone: the next one begins.
    fn over(&self) {
        let next = self.with(|queue| {
            let next = queue.waiting.pop();
            match &next {
                Some((number, _)) => queue.given.push(*number),
                None => queue.running -= 1,
            }
            next
        });
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

/// A place in the order. Each slice waits for a turn of its own.
#[derive(Debug)]
pub(crate) struct Place {
    turns: Arc<Turns>,
    state: Arc<State>,
    number: Option<u64>,
}

impl Place {
    pub(crate) fn new(turns: Arc<Turns>, state: Arc<State>) -> Self {
        Self { turns, state, number: None }
    }

    fn peer(&self) -> Peer {
        self.state.peer()
    }

    /// Ready with a turn, which is over when it is dropped.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let (peer, at_once) = (self.peer(), self.turns.at_once);
        let Some(number) = self.number else {
            // Even when nobody waits the turn begins with the next poll: whatever else the runtime has is done first, and
            // whoever is ready by then takes part in the order.
            self.number = Some(self.turns.with(|queue| {
                queue.next += 1;
                if queue.running < at_once {
                    queue.running += 1;
                    queue.given.push(queue.next);
                    cx.waker().wake_by_ref();
                } else {
                    queue.waiting.push(peer, queue.next, cx.waker().clone());
                }
                queue.next
            }));
            // What woke this is no fault of the peer any more.
            self.state.body_came();
            return Poll::Pending;
        };
        let given = self.turns.with(|queue| {
            if let Some(position) = queue.given.iter().position(|given| *given == number) {
                queue.given.swap_remove(position);
                return true;
            }
            if let Some(waker) = queue.waiting.get_mut(peer, number) {
                waker.clone_from(cx.waker());
            }
            false
        });
        if !given {
            return Poll::Pending;
        }
        self.number = None;
        Poll::Ready(Turn(Arc::clone(&self.turns)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let peer = self.peer();
        let waited = self.turns.with(|queue| {
            queue.given.retain(|given| *given != number);
            queue.waiting.remove(peer, number).is_some()
        });
        if !waited {
            self.turns.over();
        }
    }
}

/// The right to compute now.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.over();
    }
}

/// A future that is polled in turns.
pub(crate) struct Fair<F> {
    place: Place,
    future: Pin<Box<F>>,
}

impl<F: Future> Fair<F> {
    pub(crate) fn new(turns: &Arc<Turns>, state: &Arc<State>, future: F) -> Self {
        Self { place: Place::new(Arc::clone(turns), Arc::clone(state)), future: Box::pin(future) }
    }
}

impl<F: Future> Future for Fair<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _turn = ready!(this.place.poll(cx));
        this.future.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn state(n: u8) -> Arc<State> {
        State::new(IpAddr::from(Ipv4Addr::new(10, 0, 0, n)))
    }

    /// Pending once, and awake already: what tokio's own `yield_now` does comes after all that is ready.
    async fn ready_again() {
        let mut begun = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut begun, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn a_peer_with_one_request_is_not_behind_one_with_a_thousand() {
        let turns = Turns::new(1);
        let slices = Arc::new(AtomicUsize::new(0));
        let work = |rounds: usize| {
            let slices = Arc::clone(&slices);
            async move {
                for _ in 0..rounds {
                    slices.fetch_add(1, Ordering::Relaxed);
                    ready_again().await;
                }
            }
        };
        let mut tasks = JoinSet::new();
        for _ in 0..1000 {
            tasks.spawn(Fair::new(&turns, &state(1), work(100)));
        }
        yield_now().await;
        let before = slices.load(Ordering::Relaxed);
        // A task, as connections are: what a runtime blocks on is polled only once in a while.
        tokio::spawn(Fair::new(&turns, &state(2), work(20))).await.unwrap();
        let meanwhile = slices.load(Ordering::Relaxed) - before;
        // Every other slice is this peer's. In the order of arrival it would be one of a thousand: 20,000 slices.
        assert!((20..200).contains(&meanwhile), "{meanwhile} slices");
        while tasks.join_next().await.is_some() {}
        assert_eq!(turns.with(|queue| (queue.running, queue.given.len(), queue.waiting.len())), (0, 0, 0));
    }

    #[tokio::test]
    async fn whoever_leaves_takes_no_turn_along() {
        let turns = Turns::new(1);
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            tasks.spawn(Fair::new(&turns, &state(1), std::future::pending::<()>()));
        }
        for rounds in 0..100 {
            // Cut at any point: while waiting, while a turn is given, between turns.
            let mut more = JoinSet::new();
            more.spawn(Fair::new(&turns, &state(2), async {
                for _ in 0..10 {
                    yield_now().await;
                }
            }));
            for _ in 0..rounds % 7 {
                yield_now().await;
            }
        }
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        Fair::new(&turns, &state(3), async {}).await;
        assert_eq!(turns.with(|queue| (queue.running, queue.given.len(), queue.waiting.len())), (0, 0, 0));
    }
}
