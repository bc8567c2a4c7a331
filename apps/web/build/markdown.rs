//! Markdown to HTML, with headings that can be linked to and links that stay on the site.

#![expect(clippy::wildcard_enum_match_arm, reason = "most events of the foreign enum pass through unchanged")]

use std::collections::BTreeMap;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A rendered document.
pub(crate) struct Document {
    /// Text of the first heading.
    pub title: String,
    /// Identifier and text of each second-level heading.
    pub sections: Vec<(String, String)>,
    /// The HTML.
    pub html: String,
}

/// Where links between documents lead.
#[derive(Clone, Copy)]
pub(crate) enum Links<'a> {
    /// To a page per document.
    Pages,
    /// To places in one page that holds all documents; the identifiers of this document begin with its stem.
    OnePage(&'a str),
}

impl Links<'_> {
    fn identifier(self, slug: &str) -> String {
        match self {
            Self::Pages => slug.to_owned(),
            Self::OnePage(stem) => format!("{stem}--{slug}"),
        }
    }

    /// The address of a place in the document with that stem, or in this one.
    fn address(self, stem: Option<&str>, fragment: &str) -> String {
        match (self, stem) {
            (Self::Pages, None) => format!("#{fragment}"),
            (Self::Pages, Some(stem)) if fragment.is_empty() => format!("{stem}.html"),
            (Self::Pages, Some(stem)) => format!("{stem}.html#{fragment}"),
            (Self::OnePage(this), stem) => {
                let stem = stem.unwrap_or(this);
                if fragment.is_empty() { format!("#{stem}") } else { format!("#{stem}--{fragment}") }
            }
        }
    }
}

/// Renders `text`. `stems` names the documents on the site, by file name.
pub(crate) fn render(text: &str, stems: &BTreeMap<String, String>, links: Links<'_>) -> Document {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, options).collect();
    let mut document = Document { title: String::new(), sections: Vec::new(), html: String::new() };
    name_headings(&mut events, links, &mut document);
    let mut kept_links = Vec::new();
    let mut output = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let address = rewrite(&dest_url, stems, links);
                kept_links.push(address.is_some());
                if let Some(address) = address {
                    let dest_url = CowStr::from(address);
                    output.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
                }
            }
            Event::End(TagEnd::Link) => {
                if kept_links.pop() == Some(true) {
                    output.push(event);
                }
            }
            Event::Start(Tag::Table(_)) => {
                output.push(Event::Html("<div class=\"scroll\">".into()));
                output.push(event);
            }
            Event::End(TagEnd::Table) => {
                output.push(event);
                output.push(Event::Html("</div>".into()));
            }
            // The policy of the site has no place for pictures from elsewhere: their description stands in for them.
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            other => output.push(other),
        }
    }
    html::push_html(&mut document.html, output.into_iter());
    for side in ["left", "center", "right"] {
        let style = format!(" style=\"text-align: {side}\"");
        document.html = document.html.replace(&style, &format!(" class=\"{side}\""));
    }
    document
}

/// Gives every heading an identifier, formed as GitHub forms it, and notes title and sections.
fn name_headings(events: &mut [Event<'_>], links: Links<'_>, document: &mut Document) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for start in 0..events.len() {
        let Event::Start(Tag::Heading { level, .. }) = events[start] else { continue };
        let text: String = events[start..]
            .iter()
            .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
            .map(|event| match event {
                Event::Text(text) | Event::Code(text) => text.as_ref(),
                Event::SoftBreak => " ",
                _ => "",
            })
            .collect();
        let mut slug: String = text.to_lowercase().chars().filter_map(slug_character).collect();
        let count = seen.entry(slug.clone()).or_default();
        *count += 1;
        if *count > 1 {
            slug = format!("{slug}-{}", *count - 1);
        }
        let identifier = links.identifier(&slug);
        if level == HeadingLevel::H1 && document.title.is_empty() {
            document.title.clone_from(&text);
        }
        if level == HeadingLevel::H2 {
            document.sections.push((identifier.clone(), text));
        }
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[start] {
            *id = Some(identifier.into());
        }
    }
}

fn slug_character(character: char) -> Option<char> {
    match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    }
}

/// Where a link leads on the site. `None`: to something that is not on it, such as a source file.
fn rewrite(address: &str, stems: &BTreeMap<String, String>, links: Links<'_>) -> Option<String> {
    if address.starts_with("https://") || address.starts_with("http://") || address.starts_with("mailto:") {
        return Some(address.to_owned());
    }
    let (path, fragment) = address.split_once('#').unwrap_or((address, ""));
    if path.is_empty() {
        return Some(links.address(None, fragment));
    }
    let stem = stems.get(path.trim_start_matches("./"))?;
    Some(links.address(Some(stem), fragment))
}
