//! Slices that are split into chunks, without rayon in the code of the caller.

use rayon::prelude::*;

use crate::Compute;
use crate::pools::Place;

impl Compute {
    /// Calls `f` with each chunk of the slice, on up to [`width`](Self::width) threads, and returns
    /// the results in the order of the chunks. A chunk has `chunk_len` values, the last one what is
    /// left; its first argument is the index of its first value. A `chunk_len` of 0 is taken as 1.
    ///
    /// ```
    /// use insula_compute::Compute;
    ///
    /// let compute = Compute::new();
    /// let parts = compute.map_chunks(&[1, 2, 3, 4, 5], 2, |start, chunk| (start, chunk.len()));
    /// assert_eq!(parts, [(0, 2), (2, 2), (4, 1)]);
    /// ```
    ///
    /// With a width of 1, or for a single chunk, `f` runs on the calling thread. Code in `f` that
    /// uses rayon by itself should be run by [`parallel`](Self::parallel) instead.
    ///
    /// # Blocking
    /// The calling thread blocks until all chunks are done. Nested calls and thread-local values are
    /// as with [`parallel`](Self::parallel).
    ///
    /// # Panics
    /// If `f` panics, with its payload. Other chunks may have been done by then or not.
    pub fn map_chunks<T, R>(
        &self,
        values: &[T],
        chunk_len: usize,
        f: impl Fn(usize, &[T]) -> R + Sync,
    ) -> Vec<R>
    where
        T: Sync,
        R: Send,
    {
        let chunk_len = chunk_len.max(1);
        let f = |(index, chunk)| f(index * chunk_len, chunk);
        self.split(values.len().div_ceil(chunk_len), |place| match place {
            Place::Caller => values.chunks(chunk_len).enumerate().map(f).collect(),
            Place::Pool => values.par_chunks(chunk_len).enumerate().map(f).collect(),
        })
    }

    /// Calls `f` with each chunk of the slice, which it may change, on up to
    /// [`width`](Self::width) threads. In all else it is like [`map_chunks`](Self::map_chunks).
    ///
    /// # Blocking
    /// The calling thread blocks until all chunks are done.
    ///
    /// # Panics
    /// If `f` panics, with its payload. Other chunks may have been changed by then or not.
    pub fn for_each_chunk_mut<T: Send>(
        &self,
        values: &mut [T],
        chunk_len: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let chunk_len = chunk_len.max(1);
        let f = |(index, chunk): (usize, &mut [T])| f(index * chunk_len, chunk);
        self.split(values.len().div_ceil(chunk_len), |place| match place {
            Place::Caller => values.chunks_mut(chunk_len).enumerate().for_each(f),
            Place::Pool => values.par_chunks_mut(chunk_len).enumerate().for_each(f),
        });
    }
}
