//! What kind of answer a client would rather have (RFC 9110 §12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether `Accept` prefers HTML to JSON, as browsers do when they navigate; programs and scripts do not.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let html = quality(headers, "text", &["html"]);
    let json = quality(headers, "application", &["problem+json", "json"]);
    html > json
}

/// How much one of these is wanted, in thousandths: the most specific range that is given counts.
fn quality(headers: &HeaderMap, kind: &str, subtypes: &[&str]) -> u16 {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = texts.flat_map(|text| text.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (of_kind, subtype) = parts.next()?.split_once('/')?;
        let specific = match (of_kind, subtype) {
            (of_kind, name) if of_kind.eq_ignore_ascii_case(kind) => match name {
                "*" => 1,
                name if subtypes.iter().any(|own| own.eq_ignore_ascii_case(name)) => 2,
                _ => return None,
            },
            ("*", "*") => 0,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        // One that cannot be read is taken for a yes.
        let weight = weight.and_then(|text| text.parse::<f32>().ok());
        let weight = weight.filter(|weight| weight.is_finite()).unwrap_or(1.0);
        Some((specific, (1_000.0 * weight.clamp(0.0, 1.0)) as u16))
    });
    ranges.max().map_or(0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_want_pages_and_programs_do_not() {
        let wants = |accept: &str| {
            let value = accept.parse().unwrap();
            prefers_html(&HeaderMap::from_iter([(ACCEPT, value)]))
        };
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for page in [chromium, "TEXT/HTML", "text/*", "application/json;q=0.5, text/html;q=0.7"] {
            assert!(wants(page), "{page}");
        }
        for json in [
            "*/*",
            "application/json",
            "application/problem+json, text/html;q=0.9",
            "text/html, application/*",
            "text/html;q=0",
            "text/plain",
            "text/html;q=0.3, */*",
            "html, ;q=, /,",
            "",
        ] {
            assert!(!wants(json), "{json}");
        }
        assert!(wants("text/html;q=nan"), "what cannot be read is a yes");
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
