//! What a node says at `/metrics`.

/// One scrape.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// Out of the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether there is such a family, of this type (`counter`, `gauge`, `histogram`).
    #[must_use]
    pub fn has(&self, family: &str, kind: &str) -> bool {
        self.0.contains(&format!("# TYPE {family} {kind}\n"))
    }

    /// Sum over the series of a name whose labels contain all of these (`result="hit"`).
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.0
            .lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with([' ', '{'])) && labels.iter().all(|label| line.contains(label))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}
