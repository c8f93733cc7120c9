//! In: the controller's host name. Out: its addresses, soon, whatever the name servers do.
//!
//! The system's resolver blocks a thread and may take half a minute to give up. So there is one look-up at a time, nobody
//! waits long for it, and while look-ups fail the last good answer serves: the address of a Service hardly ever changes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long the last good answer is held back for a better one.
const PATIENCE: Duration = Duration::from_secs(1);

type Answer = Result<Arc<[SocketAddr]>, Arc<io::Error>>;
type Look = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// A resolver for one HTTP client.
pub(super) struct Lookup {
    names: Arc<Mutex<HashMap<String, Known>>>,
    look: Arc<Look>,
}

/// What is known of one name.
#[derive(Default)]
struct Known {
    last_good: Option<Arc<[SocketAddr]>>,
    running: Option<Shared<BoxFuture<'static, Answer>>>,
}

impl Default for Lookup {
    fn default() -> Self {
        Self::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
    }
}

impl Lookup {
    fn new(look: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static) -> Self {
        Self { names: Arc::default(), look: Arc::new(look) }
    }

    /// The look-up that runs, or a new one. It goes on when nobody waits for it any more.
    fn begin(&self, name: &str) -> (Option<Arc<[SocketAddr]>>, Shared<BoxFuture<'static, Answer>>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.entry(name.to_owned()).or_default();
        let running = known.running.get_or_insert_with(|| {
            let (looked, name, names) = ((self.look)(name.to_owned()), name.to_owned(), Arc::clone(&self.names));
            let look = async move {
                let answer = match looked.await {
                    Ok(addresses) if addresses.is_empty() => Err(io::Error::other("the name has no address").into()),
                    Ok(addresses) => Ok(addresses.into()),
                    Err(error) => Err(error.into()),
                };
                let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
                let known = names.entry(name).or_default();
                known.running = None;
                if let Ok(addresses) = &answer {
                    known.last_good = Some(Arc::clone(addresses));
                }
                answer
            };
            let task = tokio::spawn(look);
            let ended = |error| Err(io::Error::other(error).into());
            async move { task.await.unwrap_or_else(ended) }.boxed().shared()
        });
        let running = running.clone();
        (known.last_good.clone(), running)
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let (last_good, running) = self.begin(name.as_str());
        async move {
            let answer = match last_good {
                None => running.await,
                Some(last_good) => match tokio::time::timeout(PATIENCE, running).await {
                    Ok(Ok(addresses)) => Ok(addresses),
                    Ok(Err(_)) | Err(_) => Ok(last_good),
                },
            };
            let addresses = answer.map_err(|error| format!("cannot look up its name: {error}"))?;
            let addresses: Vec<SocketAddr> = addresses.to_vec();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::watch;

    use super::*;

    /// Name servers whose answer is set by the test, and how often they were asked.
    struct Servers {
        answer: watch::Sender<Option<&'static str>>,
        asked: Arc<AtomicUsize>,
    }

    fn servers(answer: Option<&'static str>) -> (Servers, Lookup) {
        let (answer, told) = watch::channel(answer);
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let lookup = Lookup::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut told = told.clone();
            async move {
                let text = told.wait_for(Option::is_some).await.map_err(io::Error::other)?.unwrap_or_default();
                text.parse().map(|address| vec![address]).map_err(io::Error::other)
            }
            .boxed()
        });
        (Servers { answer, asked }, lookup)
    }

    async fn ask(lookup: &Lookup) -> Result<SocketAddr, String> {
        let mut addresses = lookup.resolve("khan-controller".parse().unwrap()).await.map_err(|e| e.to_string())?;
        addresses.next().ok_or_else(|| "none".to_owned())
    }

    #[tokio::test]
    async fn the_last_good_answer_serves_while_servers_fail_or_are_silent() {
        let (servers, lookup) = servers(Some("10.0.0.1:0"));
        assert_eq!(ask(&lookup).await, Ok("10.0.0.1:0".parse().unwrap()));
        servers.answer.send_replace(Some("failure"));
        assert_eq!(ask(&lookup).await, Ok("10.0.0.1:0".parse().unwrap()), "they fail");
        servers.answer.send_replace(None);
        assert_eq!(ask(&lookup).await, Ok("10.0.0.1:0".parse().unwrap()), "they are silent");
        // One that hangs is not asked again: its thread is still there.
        assert_eq!(ask(&lookup).await, Ok("10.0.0.1:0".parse().unwrap()));
        assert_eq!(servers.asked.load(Ordering::Relaxed), 3);
        // Its answer comes late, and counts.
        servers.answer.send_replace(Some("10.0.0.2:0"));
        assert_eq!(ask(&lookup).await, Ok("10.0.0.2:0".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_was_never_found_is_an_error() {
        let (servers, lookup) = servers(Some("failure"));
        assert!(ask(&lookup).await.unwrap_err().starts_with("cannot look up its name: "));
        servers.answer.send_replace(Some("10.0.0.1:0"));
        assert_eq!(ask(&lookup).await, Ok("10.0.0.1:0".parse().unwrap()));
    }
}
