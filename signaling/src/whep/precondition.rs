//! `If-Match` (RFC 9110 §13.1.1), by which requests of one ICE session are kept from changing another.

/// The ICE session that a request is for (`If-Match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Nothing.
    Missing,
    /// It is for the current one.
    Holds,
    /// It is for one before.
    Fails,
}

/// Compares the fields of a request with the current entity tag, quotes included. The draft's example has
/// the star in quotes, and players follow it.
pub(crate) fn check<'a>(fields: impl IntoIterator<Item = &'a str>, current: &str) -> Precondition {
    let mut outcome = Precondition::Missing;
    for tag in fields.into_iter().flat_map(|field| field.split(',')).map(str::trim) {
        if tag == "*" || tag == "\"*\"" || tag == current {
            return Precondition::Holds;
        }
        outcome = Precondition::Fails;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_compared_with_the_current_tag() {
        for (fields, expected) in [
            (&[][..], Precondition::Missing),
            (&["*"], Precondition::Holds),
            (&["\"*\""], Precondition::Holds),
            (&["\"ice-2\""], Precondition::Holds),
            (&["\"ice-1\", \"ice-2\""], Precondition::Holds),
            (&["\"ice-1\"", "\"ice-2\""], Precondition::Holds),
            (&["\"ice-1\""], Precondition::Fails),
            (&[""], Precondition::Fails),
            // Weak tags never match here (§8.8.3.2), nor do tags without their quotes.
            (&["W/\"ice-2\""], Precondition::Fails),
            (&["ice-2"], Precondition::Fails),
        ] {
            assert_eq!(check(fields.iter().copied(), "\"ice-2\""), expected, "{fields:?}");
        }
    }
}
