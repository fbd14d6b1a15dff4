//! Who computes: the caller's thread, or several that the caller lends.

/// A piece of work that does not depend on others.
pub type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Who does work that falls into pieces. This crate starts no threads; a caller that has some lends them.
#[derive(Clone, Copy)]
pub struct Hands {
    /// How many pieces are done at once.
    pub count: usize,
    /// Does all pieces, in any order, and returns when all are done.
    pub all: fn(Vec<Job<'_>>),
}

/// Entries that make a piece: less is not worth another thread.
pub(super) const PIECE: usize = 1 << 14;

impl Hands {
    /// The caller's thread.
    pub const ALONE: Self = Self { count: 1, all: |jobs| jobs.into_iter().for_each(|job| job()) };

    /// Does `one` for every piece; what it gives, in the order of the pieces.
    pub(super) fn each<P: Send, R: Send>(
        self,
        pieces: impl ExactSizeIterator<Item = P>,
        one: impl Fn(P) -> R + Sync,
    ) -> Vec<R> {
        if self.count <= 1 || pieces.len() <= 1 {
            return pieces.map(one).collect();
        }
        let mut results: Vec<Option<R>> = Vec::new();
        results.resize_with(pieces.len(), || None);
        let one = &one;
        let jobs = pieces.zip(&mut results);
        let jobs = jobs.map(|(piece, result)| -> Job<'_> { Box::new(move || *result = Some(one(piece))) });
        (self.all)(jobs.collect());
        results.into_iter().flatten().collect()
    }
}
