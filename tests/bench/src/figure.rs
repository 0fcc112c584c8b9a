//! Figures: what was measured, with its target, as a document and as a table for people.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::Machine;
use crate::part::Part;
use crate::samples::Samples;

/// How a figure compares with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// There is no target.
    Shown,
    /// Nothing was to be measured.
    NotMeasured,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Shown => "",
            Self::NotMeasured => "not measured",
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    part: String,
    what: String,
    target: String,
    measured: String,
    verdict: Verdict,
    unit: &'static str,
    samples: Vec<f64>,
}

/// The highest value that meets a target, in the unit of the samples, and how it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) most: f64,
    pub(crate) words: &'static str,
}

impl Figure {
    /// A figure whose `value`, taken from `samples`, is compared with the target.
    pub(crate) fn new(part: Part, what: impl Into<String>, unit: &'static str) -> Self {
        Self {
            part: format!("{part:?}"),
            what: what.into(),
            target: String::new(),
            measured: String::new(),
            verdict: Verdict::Shown,
            unit,
            samples: Vec::new(),
        }
    }

    /// The median is what counts; the spread stands beside it.
    pub(crate) fn median(self, samples: &Samples, target: Option<Target>) -> Self {
        let Some(median) = samples.median() else {
            return self.absent("there is no sample", target);
        };
        let unit = self.unit;
        let measured = match (samples.len(), samples.least(), samples.most()) {
            (1, ..) | (_, None, _) | (.., None) => format!("{} {unit}", number(median)),
            (count, Some(least), Some(most)) => format!(
                "{} {unit} ({} to {}, {count} samples)",
                number(median),
                number(least),
                number(most)
            ),
        };
        self.with(measured, median, samples, target)
    }

    /// Many samples: the median counts, and the 95th percentile stands beside it.
    pub(crate) fn p95(self, samples: &Samples, target: Option<Target>) -> Self {
        let (Some(median), Some(p95)) = (samples.median(), samples.quantile(0.95)) else {
            return self.absent("there is no sample", target);
        };
        let measured = format!(
            "{} {} median, {} p95 ({} samples)",
            number(median),
            self.unit,
            number(p95),
            samples.len()
        );
        self.with(measured, median, samples, target)
    }

    /// The highest is what counts.
    pub(crate) fn most(self, samples: &Samples, target: Option<Target>) -> Self {
        let (Some(least), Some(most)) = (samples.least(), samples.most()) else {
            return self.absent("there is no sample", target);
        };
        let (unit, count) = (self.unit, samples.len());
        let measured = if count == 1 {
            format!("{} {unit}", number(most))
        } else {
            let least = number(least);
            format!("{} {unit} ({least} the lowest of {count})", number(most))
        };
        self.with(measured, most, samples, target)
    }

    /// It could not be measured.
    pub(crate) fn absent(mut self, why: &str, target: Option<Target>) -> Self {
        self.target = target.map_or_else(String::new, |target| target.words.to_owned());
        self.measured = why.to_owned();
        self.verdict = Verdict::NotMeasured;
        self
    }

    fn with(mut self, words: String, value: f64, all: &Samples, target: Option<Target>) -> Self {
        self.measured = words;
        self.samples = all.values().to_vec();
        if let Some(target) = target {
            target.words.clone_into(&mut self.target);
            self.verdict = if value <= target.most {
                Verdict::Met
            } else {
                Verdict::Missed
            };
        }
        self
    }
}

/// A number with three significant digits, and none more than it needs.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) profile: String,
    pub(crate) brief: bool,
    pub(crate) figures: Vec<Figure>,
    /// Parts that came to an error.
    pub(crate) failed: Vec<String>,
}

impl Results {
    /// The figures as Markdown, with the machine above them.
    pub(crate) fn markdown(&self) -> String {
        let mut text = self.machine.sentence();
        let _ = write!(text, " Profile `{}`.", self.profile);
        if self.brief || self.profile != "release" {
            text.push_str(" A trial run: not to be quoted.");
        }
        text.push_str("\n\n| figure | target | measured | |\n|---|---|---|---|\n");
        for figure in &self.figures {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                figure.what,
                figure.target,
                figure.measured,
                figure.verdict.word()
            );
        }
        for failed in &self.failed {
            let _ = writeln!(text, "\nNot measured: {failed}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target {
        most: 10.0,
        words: "≤ 10 ms",
    };

    #[test]
    fn a_figure_is_compared_with_its_target_and_says_its_spread() {
        let samples: Samples = [9.0, 10.0, 30.0].into_iter().collect();
        let figure = |what| Figure::new(Part::Status, what, "ms");
        let median = figure("a").median(&samples, Some(TARGET));
        assert_eq!(median.verdict, Verdict::Met);
        assert_eq!(median.measured, "10.0 ms (9.00 to 30.0, 3 samples)");
        let most = figure("b").most(&samples, Some(TARGET));
        assert_eq!(most.verdict, Verdict::Missed);
        let none = figure("c").median(&Samples::default(), Some(TARGET));
        assert_eq!(none.verdict, Verdict::NotMeasured);
        assert_eq!(none.target, "≤ 10 ms");
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0123, 1.2345, 12.345, 1234.5].map(number);
        assert_eq!(shown, ["0.012", "1.23", "12.3", "1234"]);
    }
}
