use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use include_dir::{Dir, DirEntry, include_dir};

use super::{Request, Response};

/// The player page.
pub(super) const PAGE: &str = "index.html";

static WEB: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/web");

/// The pages and scripts, which travel inside the binary.
#[derive(Debug)]
pub(crate) struct StaticFiles {
    files: HashMap<&'static str, File>,
    /// The page as it is served two folders further down.
    player: File,
}

#[derive(Debug)]
struct File {
    content: Cow<'static, [u8]>,
    content_type: String,
    etag: String,
}

impl StaticFiles {
    pub(crate) fn new() -> Self {
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
        Self { player: describe(PAGE, page_below().into()), files }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Answers a GET or HEAD for a file, or `None` where there is none of this name.
    pub(crate) fn respond(&self, name: &str, request: &Request) -> Option<Response> {
        Some(self.files.get(name)?.respond(request))
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
        let response =
            Response::new(status).header(ETAG, self.etag.clone()).header(CACHE_CONTROL, "no-cache");
        match unchanged {
            true => response,
            false => {
                response.header(CONTENT_TYPE, self.content_type.clone()).body(self.content.clone())
            }
        }
    }
}

/// The folder is an npm package as well: what is for developers alone is not for visitors.
fn is_served(name: &str) -> bool {
    name != "package.json" && !name.ends_with(".d.ts") && !name.ends_with(".md")
}

/// The page names its files relative to where it is, so that it works behind whatever prefix a proxy takes off. Below
/// `/webrtc/player/` they are two folders up.
fn page_below() -> Vec<u8> {
    let page = WEB.get_file(PAGE).and_then(|file| file.contents_utf8()).unwrap_or_default();
    page.replacen("<head>", "<head>\n  <base href=\"../../\">", 1).into_bytes()
}

fn describe(name: &str, content: Cow<'static, [u8]>) -> File {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let mut content_type = guess.essence_str().to_owned();
    if guess.type_() == mime_guess::mime::TEXT || content_type.ends_with("javascript") {
        content_type.push_str("; charset=utf-8");
    }
    let mut hash = DefaultHasher::new();
    content.hash(&mut hash);
    File { content, content_type, etag: format!("\"{:016x}\"", hash.finish()) }
}

#[cfg(test)]
mod tests {
    use super::super::{HttpReader, Step};
    use super::*;

    fn get(name: &str, headers: &str) -> String {
        let mut reader = HttpReader::default();
        reader.push(format!("GET /{name} HTTP/1.1\r\nHost: h\r\n{headers}\r\n").as_bytes());
        let Step::Head(request) = reader.next(&crate::Limits::default()) else { panic!() };
        let response = StaticFiles::new().respond(name, &request).unwrap();
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
        let page = WEB.get_file(PAGE).unwrap().contents_utf8().unwrap();
        for absolute in ["=\"/", "='/", "from '/", "import('/"] {
            assert!(!page.contains(absolute), "{absolute}");
        }
        let below = String::from_utf8(page_below()).unwrap();
        let base = below.find("<base href=\"../../\">").unwrap();
        assert!(base < below.find("<link").unwrap() && base < below.find("<script").unwrap());
    }

    #[test]
    fn what_is_for_npm_is_not_served() {
        let files = StaticFiles::new();
        assert!(files.has("visavis-client.js") && files.has("player.js"));
        for name in ["package.json", "README.md", "visavis-client.d.ts"] {
            assert!(WEB.get_file(name).is_some() && !files.has(name), "{name}");
        }
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
