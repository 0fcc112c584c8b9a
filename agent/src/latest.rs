//! The latest of something that is gathered now and then and told by sessions: each tells it once, with
//! its age.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// What was gathered, and when.
type Sample<T> = Option<Arc<(T, Instant)>>;

/// Where the latest is put.
#[derive(Debug)]
pub struct Teller<T>(watch::Sender<Sample<T>>);

/// Where sessions find it. Clones see the same.
#[derive(Debug)]
pub struct Latest<T>(watch::Receiver<Sample<T>>);

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Both ends.
pub fn channel<T>() -> (Teller<T>, Latest<T>) {
    let (to, from) = watch::channel(None);
    (Teller(to), Latest(from))
}

impl<T> Teller<T> {
    /// How old the latest is; none while there is none.
    pub fn age(&self) -> Option<Duration> {
        self.0.borrow().as_ref().map(|sample| sample.1.elapsed())
    }

    /// Puts it where sessions find it.
    pub fn tell(&self, what: T) {
        self.0.send_replace(Some(Arc::new((what, Instant::now()))));
    }
}

impl<T: Clone> Latest<T> {
    /// Where nothing is ever told.
    pub fn none() -> Self {
        channel().1
    }

    /// Looks at the latest without taking it.
    pub fn look<R>(&self, at: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.borrow().as_ref().map(|sample| at(&sample.0))
    }

    /// The latest and its age, if it was not taken here before. One whose teller has ended stays
    /// untaken.
    pub fn take(&mut self) -> Option<(T, Duration)> {
        if !self.0.has_changed().unwrap_or(false) {
            return None;
        }
        let sample = self.0.borrow_and_update().clone()?;
        Some((sample.0.clone(), sample.1.elapsed()))
    }

    /// The same for a new session, which has told nothing of it.
    #[must_use]
    pub fn anew(&self) -> Self {
        let mut new = self.clone();
        new.0.mark_changed();
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_is_told_once_in_every_session() {
        let (teller, latest) = channel();
        let mut first = latest.anew();
        assert_eq!((first.take(), teller.age()), (None, None));
        teller.tell(7);
        let later = Duration::from_secs(10);
        tokio::time::advance(later).await;
        assert_eq!(latest.look(|what| *what), Some(7));
        assert_eq!(first.take(), Some((7, later)));
        assert_eq!((first.take(), teller.age()), (None, Some(later)));
        assert_eq!(latest.anew().take(), Some((7, later)));
    }
}
