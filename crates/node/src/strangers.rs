//! What one stranger may take of a node: bytes that are held for it, and the time it does not read.
//!
//! Strangers are told apart by their address. Behind a proxy all have the proxy's, and share what one may take.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Who calls: an IPv4 address, or the first half of an IPv6 one. Whoever has one of those has 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller([u8; 16]);

impl From<IpAddr> for Caller {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => Self((address.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
        }
    }
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Caller, usize>,
}

/// Bytes that are held for strangers while they come or go: bounded in all, and for each.
#[derive(Clone, Debug)]
pub struct Budget {
    all: usize,
    each: usize,
    taken: Arc<Mutex<Taken>>,
}

impl Budget {
    /// With so many bytes in all, of which one stranger has at most `each`.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self { all, each, taken: Arc::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing yet, for a stranger.
    #[must_use]
    pub fn begin(&self, caller: Caller) -> Held {
        Held { budget: self.clone(), caller, bytes: 0 }
    }
}

/// Bytes that are held for one request, until this is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    caller: Caller,
    bytes: usize,
}

/// There is no room for more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Held {
    /// Holds so many more.
    ///
    /// # Errors
    /// [`Full`]; what was held stays so.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let (all, each) = (self.budget.all, self.budget.each);
        let mut taken = self.budget.taken();
        let own = taken.by.get(&self.caller).copied().unwrap_or(0).saturating_add(bytes);
        let sum = taken.all.saturating_add(bytes);
        if own > each || sum > all {
            return Err(Full);
        }
        taken.all = sum;
        taken.by.insert(self.caller, own);
        drop(taken);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = self.budget.taken();
        taken.all = taken.all.saturating_sub(self.bytes);
        let left = taken.by.get(&self.caller).copied().unwrap_or(0).saturating_sub(self.bytes);
        match left {
            0 => drop(taken.by.remove(&self.caller)),
            left => drop(taken.by.insert(self.caller, left)),
        }
    }
}

/// A connection that fails when the other side takes nothing of what is written for so long.
pub struct Impatient<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    /// With this much patience.
    pub fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
    }

    /// What comes of an attempt to write: waiting is allowed for a time.
    fn judge<T>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.stalled = None;
            return tried;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => {
                stalled.as_mut().reset(Instant::now() + patience);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, tried)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.judge(cx, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, tried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn caller(address: &str) -> Caller {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn networks_of_ipv6_are_one_caller() {
        assert_eq!(caller("2001:db8::1"), caller("2001:db8::ffff:1"));
        assert_ne!(caller("2001:db8::1"), caller("2001:db8:0:1::1"));
        assert_eq!(caller("::ffff:10.0.0.1"), caller("10.0.0.1"));
        assert_ne!(caller("10.0.0.2"), caller("10.0.0.1"));
    }

    #[test]
    fn nobody_takes_all_and_what_ends_is_given_back() {
        let budget = Budget::new(100, 60);
        let (one, other) = (caller("10.0.0.1"), caller("10.0.0.2"));
        let (mut first, mut second) = (budget.begin(one), budget.begin(one));
        assert_eq!(first.grow(40), Ok(()));
        assert_eq!(second.grow(21), Err(Full), "one stranger's share");
        assert_eq!(second.grow(20), Ok(()));
        let mut third = budget.begin(other);
        assert_eq!(third.grow(41), Err(Full), "all that there is");
        assert_eq!(third.grow(40), Ok(()));
        drop(first);
        assert_eq!(second.grow(40), Ok(()));
        drop((second, third));
        assert!(budget.taken().all == 0 && budget.taken().by.is_empty());
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn who_does_not_read_is_left_and_who_reads_slowly_is_not() {
        let patience = Duration::from_millis(200);
        block_on(async {
            let (ours, _theirs) = tokio::io::duplex(8);
            let mut ours = Impatient::new(ours, patience);
            let why = ours.write_all(&[1; 64]).await.unwrap_err();
            assert_eq!(why.kind(), io::ErrorKind::TimedOut);
            let (ours, mut theirs) = tokio::io::duplex(8);
            let mut ours = Impatient::new(ours, patience);
            let reader = tokio::spawn(async move {
                let mut bytes = [0; 8];
                for _ in 0..8 {
                    tokio::time::sleep(patience / 4).await;
                    theirs.read_exact(&mut bytes).await.unwrap();
                }
            });
            ours.write_all(&[1; 64]).await.unwrap();
            reader.await.unwrap();
        });
    }
}
