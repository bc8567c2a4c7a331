//! The default site: the project's own documentation.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::markdown::{Links, render};
use crate::{Files, icon};

/// The documents at the workspace root: file name, what the navigation calls them, what they hold.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("README.md", "Overview", "What Ringwall is, one command to see it run, and a map of the source."),
    (
        "ARCHITECTURE.md",
        "Architecture",
        "The life of one hypercall and of one fault, and which memory is what.",
    ),
    ("SPECIFICATION.md", "Specification", "Every promise, with its number and the test that holds it."),
    ("GLOSSARY.md", "Glossary", "The words this project uses, one line each."),
];

struct Templates {
    page: String,
    logo: String,
    navigation: String,
}

impl Templates {
    fn page(&self, class: &str, title: &str, contents: &str, content: &str) -> Vec<u8> {
        // The content goes in last, so that nothing in it is taken for a placeholder.
        let page = self.page.replace("{{class}}", class).replace("{{title}}", title);
        let page = page.replace("{{logo}}", self.logo.trim()).replace("{{navigation}}", &self.navigation);
        page.replace("{{contents}}", contents).replace("{{content}}", content).into_bytes()
    }
}

/// Renders the documents at `root` that exist with the templates in `assets`.
pub(crate) fn documentation(root: &Path, assets: &Path) -> Result<Files, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", assets.display());
    let asset = |name: &str| {
        std::fs::read_to_string(assets.join(name))
            .map_err(|error| format!("cannot read site/{name}: {error}"))
    };
    let mut documents = Vec::new();
    for &(name, label, summary) in DOCUMENTS {
        let path = root.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        if path.exists() {
            documents.push((name, label, summary, std::fs::read_to_string(&path)?));
        }
    }
    let stems: BTreeMap<String, String> =
        documents.iter().map(|(name, ..)| ((*name).to_owned(), stem(name))).collect();
    let mut navigation = String::new();
    let mut cards = String::new();
    for (name, label, summary, _) in &documents {
        let stem = stem(name);
        writeln!(navigation, "<a href=\"/{stem}.html\">{label}</a>")?;
        writeln!(
            cards,
            "<li><a href=\"/{stem}.html\"><strong>{label}</strong> <span>{summary}</span></a></li>"
        )?;
    }
    let templates = Templates { page: asset("page.html")?, logo: asset("logo.svg")?, navigation };

    let mut files = Files::new();
    let mut everything = String::from("<h1>The whole documentation on one page</h1>\n");
    for (name, label, _, text) in &documents {
        let stem = stem(name);
        let document = render(text, &stems, Links::Pages);
        let mut contents = String::new();
        for (identifier, section) in &document.sections {
            writeln!(contents, "<li><a href=\"#{identifier}\">{}</a></li>", escape(section))?;
        }
        let contents = format!("<nav class=\"contents\"><p>On this page</p><ol>\n{contents}</ol></nav>");
        let title = if document.title.is_empty() { (*label).to_owned() } else { escape(&document.title) };
        files.insert(format!("{stem}.html"), templates.page("document", &title, &contents, &document.html));
        let print = render(text, &stems, Links::OnePage(&stem));
        write!(everything, "<article id=\"{stem}\">\n{}</article>\n", print.html)?;
    }
    let index = asset("index.html")?.replace("{{documents}}", &cards);
    files.insert("index.html".into(), templates.page("home", "Ringwall", "", &index));
    files.insert("print.html".into(), templates.page("print", "Ringwall on one page", "", &everything));
    files.insert("404.html".into(), templates.page("missing", "Nothing here", "", &asset("404.html")?));
    files.insert("style.css".into(), asset("style.css")?.into_bytes());
    files.insert("logo.svg".into(), templates.logo.clone().into_bytes());
    files.insert("favicon.ico".into(), icon::ico()?);
    files.insert("icon.png".into(), icon::png(180)?);
    Ok(files)
}

/// `README.md` becomes `readme`.
fn stem(name: &str) -> String {
    name.trim_end_matches(".md").to_lowercase()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
