//! Figures against the limits that this project promises on a quiet machine.

/// Collects what is not kept.
#[derive(Debug, Default)]
pub struct Check {
    missed: Vec<String>,
}

impl Check {
    /// Notes a figure above its limit. One that is not a number is above every limit.
    pub fn at_most(&mut self, what: &str, figure: f64, limit: f64) {
        if figure.is_nan() || figure > limit {
            self.missed.push(format!("{what} is {figure:.2}, should be at most {limit}"));
        }
    }

    /// Notes a figure below its limit. One that is not a number is below every limit.
    pub fn at_least(&mut self, what: &str, figure: f64, limit: f64) {
        if figure.is_nan() || figure < limit {
            self.missed.push(format!("{what} is {figure:.2}, should be at least {limit}"));
        }
    }

    /// What was not kept, one sentence each.
    pub fn missed(self) -> Vec<String> {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive_and_no_figure_is_a_miss() {
        let mut check = Check::default();
        check.at_most("latency, ms", 50.0, 50.0);
        check.at_least("fps", 29.0, 29.0);
        check.at_most("gap, ms", 100.1, 100.0);
        check.at_least("fps", f64::NAN, 29.0);
        let missed = check.missed();
        assert_eq!(missed.len(), 2);
        assert_eq!(missed[0], "gap, ms is 100.10, should be at most 100");
    }
}
