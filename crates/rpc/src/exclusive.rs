//! A service that one call uses at a time.

use std::fmt;
use std::ops::{Deref, DerefMut};

use insula_sync::Mutex;

/// Holds the service of a contract whose methods take `&mut self`.
///
/// A call takes the service out and puts it back at its end. Nothing waits for it here: the calls
/// of such a responder are run one at a time (`Respond::EXCLUSIVE`).
pub struct Exclusive<S>(Mutex<Option<Box<S>>>);

/// The service while a call uses it.
pub struct Taken<'a, S> {
    home: &'a Exclusive<S>,
    /// `None` in its drop only.
    service: Option<Box<S>>,
}

impl<S> Exclusive<S> {
    /// Holds a service.
    pub fn new(service: S) -> Self {
        Self(Mutex::new(Some(Box::new(service))))
    }

    /// Takes the service out.
    ///
    /// # Panics
    /// Another call uses it. That fails the call that asked.
    pub fn take(&self) -> Taken<'_, S> {
        // Taken out and not borrowed through the guard, since a call keeps the service while it
        // waits, perhaps on another thread.
        let service = self.0.lock().take();
        assert!(
            service.is_some(),
            "a service with `&mut self` methods runs one call at a time"
        );
        Taken {
            home: self,
            service,
        }
    }
}

impl<S> Deref for Taken<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        match &self.service {
            Some(service) => service,
            None => unreachable!("it is put back in the drop"),
        }
    }
}

impl<S> DerefMut for Taken<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        match &mut self.service {
            Some(service) => service,
            None => unreachable!("it is put back in the drop"),
        }
    }
}

impl<S> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        // There is `None` in its place, so that no code of the user runs under the lock.
        *self.home.0.lock() = self.service.take();
    }
}

impl<S> fmt::Debug for Exclusive<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Taken<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").finish_non_exhaustive()
    }
}
