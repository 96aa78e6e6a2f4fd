//! The page that explains an error to a person who was sent to an address by a link.

use http::Method;
use http::header::VARY;

use super::accept::prefers_html;
use super::branding::escape;
use super::request::Request;
use super::response::Response;
use crate::error::{ErrorCode, RequestError};

/// The page, with placeholders for its texts.
pub(super) const TEMPLATE: &str = "error.html";

/// Tells a problem as a page to a person who was sent there by a link; scripts and programs keep theirs.
pub(super) fn as_page(response: Response, template: &str, request: &Request) -> Response {
    let Some(error) = response.error() else { return response };
    if ![Method::GET, Method::HEAD].contains(&request.method) {
        return response;
    }
    let page = prefers_html(&request.headers).then(|| page(template, error, request));
    let response = response.header(VARY, "Accept");
    match page {
        Some(page) => response.into_html(page),
        None => response,
    }
}

/// It has relative URLs, so that it works behind a proxy that strips any path prefix.
fn page(template: &str, error: &RequestError, request: &Request) -> String {
    let RequestError { code, detail, .. } = error;
    let up = "../".repeat(request.path.matches('/').count().saturating_sub(1));
    let base = if up.is_empty() { "./" } else { &up };
    let (words, small) = match help(*code) {
        Some(help) => (help.to_owned(), detail.as_ref()),
        None => (escape(&sentence(detail)), ""),
    };
    // What may come from outside is last: the places that it names are not filled.
    template
        .replace("{base}", base)
        .replace("{title}", &escape(code.title()))
        .replace("{status}", code.http_status().unwrap_or_default().as_str())
        .replace("{code}", code.code())
        .replace("{words}", &words)
        .replace("{detail}", &escape(small))
}

/// What a person who followed a link can do about it; else the sentence of the problem.
fn help(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::NoSession => {
            Some("Check the link. The session may have ended, or may not have started yet.")
        }
        ErrorCode::BadSession | ErrorCode::NotFound => Some("Check the link."),
        _ => None,
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::request::{HttpReader, Step};
    use super::*;

    const ANY: &str = "{base} {title} {status} {code} {words} {detail}";

    fn ask(line: &str, accept: &str, response: Response) -> String {
        let mut reader = HttpReader::default();
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
        reader.push(head.as_bytes());
        let Step::Head(request) = reader.next(&crate::Limits::default()) else { panic!("{line}") };
        let told = as_page(response, ANY, &request);
        String::from_utf8(told.to_bytes(false, true)).unwrap()
    }

    fn no_session() -> Response {
        Response::problem(ErrorCode::NoSession, "there is no session <b> {base}")
    }

    #[test]
    fn people_get_a_page_and_programs_a_problem() {
        let page = ask("GET /webrtc/player/x", "text/html", no_session());
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        assert!(head.contains("content-type: text/html; charset=utf-8\r\n"), "{head}");
        assert!(!head.contains("problem+json") && head.contains("vary: Accept\r\n"), "{head}");
        let help = help(ErrorCode::NoSession).unwrap();
        assert_eq!(
            body,
            format!(
                "../../ There is no such session 404 no-session {help} \
                 there is no session &lt;b&gt; {{base}}"
            )
        );
        let stopped = Response::problem(ErrorCode::Stopped, "it is <over>");
        let page = ask("GET /x", "text/html", stopped);
        assert!(page.contains("retry-after: 5\r\n"), "{page}");
        assert!(page.ends_with(" 503 stopped It is &lt;over&gt;. "), "{page}");
        assert!(ask("GET /x", "text/html", no_session()).contains("\r\n\r\n./ There"));
        for (line, accept) in [("GET /x", "*/*"), ("POST /x", "text/html")] {
            let json = ask(line, accept, no_session());
            assert!(json.contains("application/problem+json") && json.ends_with('}'), "{json}");
        }
        let fine = ask("GET /x", "text/html", Response::new(StatusCode::OK).body(&b"fine"[..]));
        assert!(fine.ends_with("\r\n\r\nfine") && !fine.contains("vary"), "{fine}");
    }
}
