//! The thread that makes what takes longer than a frame.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use eframe::egui::ColorImage;

use super::key::Key;
use super::source::Source;

/// The thread that makes tiles, and what it is to make. Dropping it ends the thread.
pub struct Maker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    /// In the order they were asked for.
    waiting: Vec<Order>,
    making: Option<Key>,
    done: Vec<(Key, ColorImage)>,
    closed: bool,
}

struct Order {
    key: Key,
    source: Source,
    /// The frame that last asked for it.
    frame: u64,
}

impl Maker {
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while let Some((key, source)) = theirs.next() {
                theirs.finish(key, key.image(&source));
                wake();
            }
        });
        Maker {
            shared,
            thread: Some(thread),
        }
    }

    pub fn ask(&self, key: Key, source: &Source, frame: u64) {
        let mut orders = self.shared.lock();
        if orders.making == Some(key) || orders.done.iter().any(|(done, _)| *done == key) {
            return;
        }
        orders.waiting.retain(|order| order.key != key);
        orders.waiting.push(Order {
            key,
            source: source.clone(),
            frame,
        });
        self.shared.changed.notify_one();
    }

    /// What has been made. Drops the orders that frame `last` did not repeat.
    pub fn collect(&self, last: u64) -> Vec<(Key, ColorImage)> {
        let mut orders = self.shared.lock();
        orders.waiting.retain(|order| order.frame >= last);
        std::mem::take(&mut orders.done)
    }

    pub fn pending(&self) -> usize {
        let orders = self.shared.lock();
        orders.waiting.len() + usize::from(orders.making.is_some()) + orders.done.len()
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that has been said.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to make; `None` when there will be nothing more.
    fn next(&self) -> Option<(Key, Source)> {
        let mut orders = self.lock();
        while !orders.closed {
            if let Some(order) = orders.take_newest() {
                orders.making = Some(order.key);
                return Some((order.key, order.source));
            }
            let woken = self.changed.wait(orders);
            orders = woken.unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn finish(&self, key: Key, image: ColorImage) {
        let mut orders = self.lock();
        orders.making = None;
        orders.done.push((key, image));
    }
}

impl Orders {
    /// What the newest frame asked for first.
    fn take_newest(&mut self) -> Option<Order> {
        let newest = self.waiting.iter().map(|order| order.frame).max()?;
        let first = self
            .waiting
            .iter()
            .position(|order| order.frame == newest)?;
        Some(self.waiting.remove(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tiles::source::tests::picture;

    #[test]
    fn orders_that_a_frame_does_not_repeat_are_dropped_and_new_ones_come_first() {
        let source = Source::Picture(picture(2, 2));
        let order = |i, frame| Order {
            key: Key {
                source: i,
                level: 0,
                at: [0, 0],
                squares: false,
            },
            source: source.clone(),
            frame,
        };
        let mut orders = Orders::default();
        for (i, frame) in [(1, 6), (2, 6), (3, 7), (4, 7)] {
            orders.waiting.push(order(i, frame));
        }
        let mut taken = Vec::new();
        while let Some(order) = orders.take_newest() {
            taken.push(order.key.source);
        }
        assert_eq!(taken, [3, 4, 1, 2]);

        // A maker without its thread.
        let maker = Maker {
            shared: Arc::default(),
            thread: None,
        };
        let (old, new) = (order(1, 6), order(2, 7));
        maker.ask(old.key, &source, 6);
        maker.ask(new.key, &source, 6);
        maker.ask(new.key, &source, 7);
        assert_eq!(maker.pending(), 2);
        assert!(maker.collect(7).is_empty());
        assert_eq!(maker.pending(), 1);
        assert_eq!(maker.shared.next().map(|(key, _)| key), Some(new.key));
        maker.ask(new.key, &source, 8);
        assert_eq!(maker.pending(), 1, "it is being made");
        maker.shared.finish(new.key, new.key.image(&source));
        maker.ask(new.key, &source, 8);
        assert_eq!(maker.pending(), 1, "it is done");
        assert_eq!(maker.collect(8).len(), 1);
        assert_eq!(maker.pending(), 0);
    }
}
