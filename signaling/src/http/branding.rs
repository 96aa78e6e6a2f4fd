//! How the pages present themselves: with a title and a logo of the operator's own, if there are some.

use super::logo::Logo;
use crate::config::{PageBranding, SignalingError};

/// The longest title.
const MAX_TITLE_CHARS: usize = 80;

/// What stands in the files, and is replaced. The tests hold it to them.
const TITLE: &str = ">visavis<";
const LOGO: &str = "\"./icon.svg\"";

/// The settings, checked and read.
#[derive(Debug, Default)]
pub(super) struct Branding {
    /// For HTML; `None` for what stands in the files.
    title: Option<String>,
    pub(super) logo: Option<Logo>,
}

impl Branding {
    pub(super) fn new(settings: &PageBranding) -> Result<Self, SignalingError> {
        let title = settings.title.as_deref().map(|title| {
            let title = title.trim();
            let sound = (1..=MAX_TITLE_CHARS).contains(&title.chars().count());
            match sound && !title.chars().any(char::is_control) {
                true => Ok(escape(title)),
                false => Err(SignalingError::Title(title.chars().take(MAX_TITLE_CHARS).collect())),
            }
        });
        let logo = settings.logo.as_deref().map(Logo::read);
        Ok(Self { title: title.transpose()?, logo: logo.transpose()? })
    }

    /// A page of ours with the title and the logo that there are.
    pub(super) fn apply(&self, page: &str) -> String {
        let title = self.title.as_deref().map(|title| page.replace(TITLE, &format!(">{title}<")));
        let page = title.unwrap_or_else(|| page.to_owned());
        match &self.logo {
            Some(logo) => page.replace(LOGO, &format!("\"./{}\"", logo.name)),
            None => page,
        }
    }
}

/// Text as it stands in HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str) -> Result<Branding, SignalingError> {
        Branding::new(&PageBranding { title: Some(title.to_owned()), logo: None })
    }

    #[test]
    fn a_title_is_text_and_never_markup() {
        let page = "<title>visavis</title><img src=\"./icon.svg\" alt=\"\"><span>visavis</span>";
        assert_eq!(Branding::default().apply(page), page);
        let branded = titled(" Anna & <b>Co</b> ").unwrap().apply(page);
        let title = "Anna &amp; &lt;b&gt;Co&lt;/b&gt;";
        let wanted = page.replace("visavis", title);
        assert_eq!(branded, wanted);
        assert_eq!(escape("\"'"), "&quot;&#39;");
    }

    #[test]
    fn a_title_that_is_none_is_refused() {
        for title in ["", "  ", "a\nb", &"x".repeat(81)] {
            assert!(matches!(titled(title), Err(SignalingError::Title(_))), "{title:?}");
        }
        titled(&"ß".repeat(80)).unwrap();
    }
}
