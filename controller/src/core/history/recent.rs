//! How a server was lately, in equal pieces of time: the spark line of `extend status`.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{History, SCALES, Step};

/// What is known of one piece, in seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    known: i64,
    healthy: i64,
}

/// Equal pieces of time, one after the other.
struct Pieces {
    /// Seconds of each.
    length: i64,
    /// When the first one begins.
    begin: i64,
    pieces: Vec<Piece>,
}

/// The time of which a step tells, from one second to another.
type Span = (i64, i64);

impl History {
    /// How it was lately: for each of `count` equal pieces of the last `seconds`, the share of its
    /// time in which it was seen to be healthy, in percent; none where less than half is known.
    pub(super) fn recent(&self, seconds: u32, count: u32, now: Timestamp) -> Vec<Option<u8>> {
        let now = now.as_second();
        let length = i64::from(seconds / count.max(1)).max(1);
        // The last one has begun: of a piece without a second nothing could be told.
        let begin = ((now - 1) / length - i64::from(count) + 1) * length;
        let mut pieces = Pieces {
            length,
            begin,
            pieces: vec![Piece::default(); count as usize],
        };
        let [minutes, coarser, _] = &self.scales;
        let [minute, coarse, _] = &SCALES;
        for step in minutes {
            let (from, upto) = span(step, minute.length);
            pieces.add((from, upto.min(now)), whole(step));
        }
        // What minutes do not tell any more, which a large fleet has few of.
        let oldest = minutes
            .front()
            .map_or(i64::MAX, |step| span(step, minute.length).0);
        for step in coarser {
            let (from, upto) = span(step, coarse.length);
            if upto <= begin {
                continue;
            }
            let told = within(minutes, minute.length, (from, upto));
            let rest = Piece {
                known: (i64::from(step.known) - told.known).max(0),
                healthy: (i64::from(step.healthy) - told.healthy).max(0),
            };
            pieces.add((from, upto.min(oldest).min(now)), rest);
        }
        if let Some((from, state)) = self.uncounted(now) {
            let known = now - from;
            let healthy = if state.is_good() { known } else { 0 };
            pieces.add((from, now), Piece { known, healthy });
        }
        pieces.shares(now)
    }
}

impl Pieces {
    /// Spreads what is known of a span of time evenly over the pieces that it lies in. Nothing is
    /// lost by rounding: what they get is together what there is.
    fn add(&mut self, (from, upto): Span, what: Piece) {
        let seconds = upto - from;
        if seconds <= 0 {
            return;
        }
        let place = |second: i64| (second - self.begin).div_euclid(self.length);
        for place in place(from).max(0)..=place(upto - 1) {
            let piece = usize::try_from(place).ok();
            let Some(piece) = piece.and_then(|place| self.pieces.get_mut(place)) else {
                return;
            };
            let begins = self.begin + place * self.length;
            let (first, last) = (from.max(begins), upto.min(begins + self.length));
            let part =
                |value: i64| value * (last - from) / seconds - value * (first - from) / seconds;
            piece.known += part(what.known);
            piece.healthy += part(what.healthy);
        }
    }

    fn shares(&self, now: i64) -> Vec<Option<u8>> {
        let share = |(place, piece): (i64, &Piece)| {
            let begins = self.begin + place * self.length;
            let passed = (now - begins).clamp(1, self.length);
            let known = piece.known.min(passed);
            let healthy = piece.healthy.min(known);
            // One second of five minutes is not none.
            let percent = (healthy * 100 / passed).max(healthy.min(1));
            u8::try_from(percent).ok().filter(|_| known * 2 >= passed)
        };
        (0..).zip(&self.pieces).map(share).collect()
    }
}

fn span(step: &Step, length: u32) -> Span {
    let from = i64::from(step.index) * i64::from(length);
    (from, from + i64::from(length))
}

fn whole(step: &Step) -> Piece {
    Piece {
        known: step.known.into(),
        healthy: step.healthy.into(),
    }
}

/// What the steps of a span know together.
fn within(steps: &VecDeque<Step>, length: u32, (from, upto): Span) -> Piece {
    let first = steps.partition_point(|step| span(step, length).0 < from);
    let steps = steps.range(first..);
    let steps = steps.take_while(|step| span(step, length).0 < upto);
    steps.map(whole).fold(Piece::default(), |sum, one| Piece {
        known: sum.known + one.known,
        healthy: sum.healthy + one.healthy,
    })
}
