use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use include_dir::{Dir, DirEntry, include_dir};

use super::branding::Branding;
use super::error_page;
use super::request::Request;
use super::response::Response;
use crate::config::{PageBranding, SignalingError};

/// The player page.
pub(super) const PAGE: &str = "index.html";

static WEB: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/web");

/// The pages and scripts, which are part of the binary.
#[derive(Debug)]
pub(crate) struct StaticFiles {
    files: HashMap<&'static str, File>,
    /// The page as it is served two folders further down.
    player: File,
    /// What [`error_page`] fills.
    error: String,
}

#[derive(Debug)]
struct File {
    content: Cow<'static, [u8]>,
    content_type: String,
    etag: String,
    /// The operator's logo may be an SVG with scripts: opened as a document it is sandboxed. In an `<img>` its scripts do
    /// not run anyway.
    sandboxed: bool,
}

/// A second policy beside that of all responses: both hold.
const SANDBOX: &str = "default-src 'none'; sandbox";

impl StaticFiles {
    /// Reads the operator's title and logo, if set.
    pub(crate) fn new(settings: &PageBranding) -> Result<Self, SignalingError> {
        let branding = Branding::new(settings)?;
        let mut files = HashMap::new();
        let mut open = vec![&WEB];
        while let Some(dir) = open.pop() {
            for entry in dir.entries() {
                match entry {
                    DirEntry::Dir(dir) => open.push(dir),
                    DirEntry::File(file) => {
                        if let Some(name) = file.path().to_str().filter(|name| is_served(name)) {
                            files.insert(name, describe(name, file.contents().into()));
                        }
                    }
                }
            }
        }
        let page = branding.apply(text(PAGE));
        let player = describe(PAGE, below(&page).into_bytes().into());
        files.insert(PAGE, describe(PAGE, page.into_bytes().into()));
        let error = branding.apply(text(error_page::TEMPLATE));
        if let Some(logo) = branding.logo {
            let file = File { sandboxed: true, ..describe(logo.name, logo.content.into()) };
            files.insert(logo.name, file);
        }
        Ok(Self { player, error, files })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Answers a GET or HEAD for a file, or `None` where there is none of this name.
    pub(crate) fn respond(&self, name: &str, request: &Request) -> Option<Response> {
        Some(self.files.get(name)?.respond(request))
    }

    /// Tells a problem as a page to a person who was sent there by a link.
    pub(crate) fn as_page(&self, response: Response, request: &Request) -> Response {
        error_page::as_page(response, &self.error, request)
    }

    /// The page at `/webrtc/player/{id}`.
    pub(crate) fn player(&self, request: &Request) -> Response {
        self.player.respond(request)
    }
}

impl File {
    fn respond(&self, request: &Request) -> Response {
        let known = request.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let unchanged = known.is_some_and(|tags| {
            tags.split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
        });
        let status = if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        // `no-cache` lets a browser keep the file but makes it ask each time, so that a new server
        // never meets an old page.
        let mut response =
            Response::new(status).header(ETAG, self.etag.clone()).header(CACHE_CONTROL, "no-cache");
        if self.sandboxed {
            response = response.header(CONTENT_SECURITY_POLICY, SANDBOX);
        }
        match unchanged {
            true => response,
            false => {
                response.header(CONTENT_TYPE, self.content_type.clone()).body(self.content.clone())
            }
        }
    }
}

/// The folder is an npm package as well: what is for developers alone is not for visitors. Nor is a page with places
/// to be filled.
fn is_served(name: &str) -> bool {
    ![error_page::TEMPLATE, "package.json"].contains(&name)
        && !name.ends_with(".d.ts")
        && !name.ends_with(".md")
}

/// A page, as it stands in its file.
fn text(name: &str) -> &'static str {
    WEB.get_file(name).and_then(|file| file.contents_utf8()).unwrap_or_default()
}

/// The page has relative URLs, so that it works behind a proxy that strips any path prefix. Below `/webrtc/player/`
/// they start two folders up.
fn below(page: &str) -> String {
    page.replacen("<head>", "<head>\n  <base href=\"../../\">", 1)
}

fn describe(name: &str, content: Cow<'static, [u8]>) -> File {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let mut content_type = guess.essence_str().to_owned();
    if guess.type_() == mime_guess::mime::TEXT || content_type.ends_with("javascript") {
        content_type.push_str("; charset=utf-8");
    }
    let mut hash = DefaultHasher::new();
    content.hash(&mut hash);
    let etag = format!("\"{:016x}\"", hash.finish());
    File { content, content_type, etag, sandboxed: false }
}

#[cfg(test)]
mod tests {
    use super::super::request::{HttpReader, Step};
    use super::*;

    fn get(name: &str, headers: &str) -> String {
        get_of(&PageBranding::default(), name, headers)
    }

    fn get_of(look: &PageBranding, name: &str, headers: &str) -> String {
        let mut reader = HttpReader::default();
        reader.push(format!("GET /{name} HTTP/1.1\r\nHost: h\r\n{headers}\r\n").as_bytes());
        let Step::Head(request) = reader.next(&crate::Limits::default()) else { panic!() };
        let response = StaticFiles::new(look).unwrap().respond(name, &request).unwrap();
        String::from_utf8(response.to_bytes(false, true)).unwrap()
    }

    #[test]
    fn files_have_their_types() {
        assert!(get("index.html", "").contains("content-type: text/html; charset=utf-8\r\n"));
        let script = get("visavis-client.js", "");
        assert!(script.contains("content-type: text/javascript; charset=utf-8\r\n"), "{script}");
        assert!(get("player.css", "").contains("content-type: text/css; charset=utf-8\r\n"));
        assert!(get("icon.svg", "").contains("content-type: image/svg+xml\r\n"));
    }

    #[test]
    fn the_page_names_its_files_relative_to_where_it_is() {
        for page in [text(PAGE), text(error_page::TEMPLATE)] {
            for absolute in ["=\"/", "='/", "from '/", "import('/"] {
                assert!(!page.contains(absolute), "{absolute}");
            }
        }
        let below = below(text(PAGE));
        let base = below.find("<base href=\"../../\">").unwrap();
        assert!(base < below.find("<link").unwrap() && base < below.find("<script").unwrap());
    }

    #[test]
    fn what_is_for_npm_is_not_served() {
        let files = StaticFiles::new(&PageBranding::default()).unwrap();
        assert!(files.has("visavis-client.js") && files.has("player.js"));
        for name in ["package.json", "README.md", "visavis-client.d.ts", "error.html"] {
            assert!(WEB.get_file(name).is_some() && !files.has(name), "{name}");
        }
    }

    #[test]
    fn title_and_logo_are_the_operators_on_every_page() {
        let folder = tempfile::tempdir().unwrap();
        let logo = folder.path().join("a logo");
        std::fs::write(&logo, "<svg><script>alert(1)</script></svg>").unwrap();
        let look = PageBranding { title: Some("Anna <3".to_owned()), logo: Some(logo) };
        let files = StaticFiles::new(&look).unwrap();
        let player = String::from_utf8(files.player.content.to_vec()).unwrap();
        for (page, titles) in [(get_of(&look, PAGE, ""), 2), (player, 2), (files.error, 1)] {
            assert_eq!(page.matches(">Anna &lt;3<").count(), titles, "{page}");
            assert_eq!(page.matches("\"./logo.svg\"").count(), 2, "{page}");
            assert!(!page.contains(">visavis<") && !page.contains("icon.svg"), "{page}");
        }
        let svg = get_of(&look, "logo.svg", "");
        assert!(svg.contains("content-type: image/svg+xml\r\n"), "{svg}");
        assert!(svg.contains("content-security-policy: default-src 'none'; sandbox\r\n"), "{svg}");
        assert!(!get("icon.svg", "").contains("sandbox"));
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let first = get("index.html", "");
        let etag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let second = get("index.html", &format!("If-None-Match: \"x\", W/{etag}\r\n"));
        assert!(second.starts_with("HTTP/1.1 304 ") && second.ends_with("\r\n\r\n"), "{second}");
        assert!(get("index.html", "If-None-Match: \"x\"\r\n").starts_with("HTTP/1.1 200 "));
    }
}
